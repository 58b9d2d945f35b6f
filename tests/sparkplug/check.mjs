// Plays what can happen to an edge node, and fails if the host saw a rule broken or an uplink missing.
import { spawn, execFileSync } from "node:child_process";
import { writeFileSync, openSync } from "node:fs";
import net from "node:net";
import * as host from "./host.mjs";

const [program, work, kills] = process.argv.slice(2);
const children = new Set();
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const begun = Date.now();

function run(name, command, args) {
  const log = openSync(`${work}/${name}.log`, "a");
  const child = spawn(command, args, { stdio: ["ignore", log, log] });
  children.add(child);
  child.on("exit", () => children.delete(child));
  return child;
}
const ended = (child) => new Promise((done) => (child.exitCode ?? child.signalCode) !== null ? done() : child.on("exit", done));
async function kill(child, signal = "SIGKILL") { child.kill(signal); await ended(child); }
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

const freePort = () => new Promise((done) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => { const { port } = server.address(); server.close(() => done(port)); });
});
async function until(what, holds, seconds = 60) {
  const limit = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > limit) fail(`waited in vain for: ${what}`);
    await sleep(50);
  }
}
function fail(why) {
  console.log(`FAILED ${why}`);
  for (const violation of new Set(host.violations)) console.log(`  ${violation}`);
  process.exit(1);
}
const step = (text) => console.log(`${((Date.now() - begun) / 1000).toFixed(0).padStart(4)} s  ${text}`);

const [brokerPort, simulatorPort, httpPort] = [await freePort(), await freePort(), await freePort()];
const url = `mqtt://127.0.0.1:${brokerPort}`;
writeFileSync(`${work}/mosquitto.conf`, `user root\nlistener ${brokerPort} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n`);
writeFileSync(`${work}/token`, "token");
writeFileSync(`${work}/config.toml`, `version = 1
[gateway]
id = "gw1"
data_dir = "${work}/data"
[mqtt]
url = "${url}"
[sources.simulated]
kind = "sigfox"
url = "http://127.0.0.1:${simulatorPort}/v2"
login = "5f0000000000000000000a91"
password_file = "${work}/password"
poll = "1s"
downlink = "callback"
callback_token_file = "${work}/token"
[http]
listen = "127.0.0.1:${httpPort}"
[sparkplug]
group = "site1"
primary_host = "scada"
`, { mode: 0o600 });
writeFileSync(`${work}/password`, "simulated", { mode: 0o600 });

const startBroker = () => run("mosquitto", "mosquitto", ["-c", `${work}/mosquitto.conf`]);
const startGateway = () => run("gateway", program, ["--config", `${work}/config.toml`, "--log", "warn,sigfox2mqtt=info", "run"]);
let broker = startBroker();
const simulator = run("simulator", program, ["simulate", "--listen", `127.0.0.1:${simulatorPort}`, "--speed", "240",
  "--devices", "12", "--history", "30m", "--no-rate-limits"]);
host.start(url, { group: "site1", edge: "gw1", hostId: "scada" });
let gateway = startGateway();
await sleep(2000);
if (host.counts.NBIRTH > 0) fail("births before the primary host was there");

await host.present(true);
await until("births of 12 devices", () => host.node.devices.size === 12);
await until("data", () => host.counts.DDATA > 30);
step("the primary host came: births, then what had waited");

for (let round = 0; round < 3; round++) {
  const before = host.sessions.length;
  await host.present(false);
  await until("the edge node to leave", () => !host.node.online);
  await sleep(3000);
  await host.present(true);
  await until("new births", () => host.sessions.length > before && host.node.online);
}
step(`the primary host went and came back 3 times; ${host.counts.historical} messages of history so far`);

for (let number = 0; number < kills; number++) {
  const before = host.sessions.length;
  await sleep(500 + Math.random() * 3000);
  await kill(gateway);
  gateway = startGateway();
  await until("births after a kill", () => host.sessions.length > before);
}
step(`the gateway was killed (kill -9) ${kills} times`);

for (let round = 0; round < 3; round++) {
  const before = host.sessions.length;
  await sleep(1500);
  await kill(broker);
  await sleep(500);
  broker = startBroker();
  await until("births after the broker's end", () => host.sessions.length > before);
}
step("the broker was killed 3 times");

await until("all births", () => host.node.devices.size === 12);
const stormBegan = Date.now();
for (let number = 0; number < 1000; number++) host.rebirth();
await sleep(12000);
const storm = host.births.filter((time) => time >= stormBegan);
if (storm.length !== 2 || storm[1] - storm[0] < 9900) fail(`1000 rebirth commands led to births after ${storm.map((time) => time - stormBegan)} ms`);
step(`1000 rebirth commands: births after ${storm.map((time) => time - stormBegan).join(" and ")} ms`);

const device = [...host.node.devices.keys()][0];
const ignored = () => Number(host.node.metrics.get("Gateway/Commands Ignored").value);
const wrong = ignored();
await host.raw("spBv1.0/site1/NCMD/gw1", Buffer.from("ff".repeat(300), "hex"));
await host.raw(`spBv1.0/site1/DCMD/gw1/${device}`, Buffer.from("0aff", "hex"));
await host.raw("spBv1.0/site1/DCMD/gw1/pump", Buffer.alloc(0));
await host.command([{ name: "Node Control/Rebirth", type: "String", value: "true" }]);
await host.push(device, "Int32", 7);
await host.push(device, "Boolean", true);
await until("six commands to be ignored", () => ignored() === wrong + 6);
await host.push(device, "String", "0123");
await until("a rejected downlink", () => host.value(device, "Downlink/State") === "rejected");
const reason = host.value(device, "Downlink/Reason");
await host.push(device, "String", "0123456789abcdef");
await until("a queued downlink", () => host.value(device, "Downlink/State") === "queued");
if (host.value(device, "Downlink/Push") !== "0123456789abcdef") fail("the downlink that was written is not shown");
step(`six commands that are none were ignored; "0123" was ${JSON.stringify(reason)}; a downlink was queued`);

await kill(simulator, "SIGTERM");
await sleep(2500);
const kept = JSON.parse(execFileSync(program, ["--config", `${work}/config.toml`, "messages", "--json", "--limit", "1000000"], { maxBuffer: 1 << 28 }));
await until("every uplink to be told", () => kept.every((uplink) => host.uplinks.has(uplink.id)), 30);
const deaths = host.counts.NDEATH;
await kill(gateway, "SIGTERM");
await until("the last NDEATH", () => host.counts.NDEATH > deaths && !host.node.online);
step("the gateway was ended in order, and said so");

if (host.violations.length > 0) fail(`${host.violations.length} violations`);
const { historical, bytes, ...kinds } = host.counts;
console.log(Object.entries(kinds).map(([kind, count]) => `${count} ${kind}`).join(", "));
console.log(`${historical} of history, ${bytes} bytes, ${host.sessions.length} connections with births, ${kept.length} uplinks kept, ${host.uplinks.size} told`);
console.log("no violation");
host.stop();
await kill(broker, "SIGTERM");
process.exit(0);
