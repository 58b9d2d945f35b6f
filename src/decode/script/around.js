// What stands around every script. Scripts of vendors may export their entry points, and log.
var module = { exports: {} }, exports = module.exports;
var console = { log() {}, info() {}, warn() {}, error() {}, debug() {} };

// The engine's own loops over an array are not stopped by the clock, and a length costs no memory: a payload that
// is misread as a length would hold up every other device. Nothing that fits the memory is as long as this.
(function () {
  "use strict";
  const longest = 2 ** 20;
  const check = (list) => {
    if (list !== null && typeof list === "object" && list.length > longest) throw new RangeError("too long an array");
  };
  for (const name of Object.getOwnPropertyNames(Array.prototype)) {
    const own = Array.prototype[name];
    if (typeof own !== "function" || name === "constructor") continue;
    const bounded = function (...values) {
      check(this);
      for (const value of values) check(value);
      return Reflect.apply(own, this, values);
    };
    Object.defineProperty(Array.prototype, name, { value: bounded, writable: true, configurable: true });
  }
})();
