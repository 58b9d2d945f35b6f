// Calls an entry point of the script that was loaded before; answers JSON.
(function (what, input) {
  const exported = (typeof module === "object" && module.exports) || {};
  const entry = {
    decodeUplink: typeof decodeUplink === "function" ? decodeUplink : exported.decodeUplink,
    Decode: typeof Decode === "function" ? Decode : exported.Decode,
    Decoder: typeof Decoder === "function" ? Decoder : exported.Decoder,
    encodeDownlink: typeof encodeDownlink === "function" ? encodeDownlink : exported.encodeDownlink,
    Encode: typeof Encode === "function" ? Encode : exported.Encode,
    Encoder: typeof Encoder === "function" ? Encoder : exported.Encoder,
  };
  const has = (name) => typeof entry[name] === "function";
  const texts = (list) => (Array.isArray(list) ? list : list === undefined || list === null ? [] : [list]).map(String);
  // Sigfox knows no ports; scripts of LoRaWAN devices expect one.
  const port = 1;

  const decode = ({ bytes, device, time }) => {
    if (has("decodeUplink")) {
      return entry.decodeUplink({ bytes, fPort: port, recvTime: new Date(time), device, variables: {} });
    }
    return { data: has("Decode") ? entry.Decode(port, bytes, {}) : entry.Decoder(bytes, port) };
  };
  const encode = ({ data }) => {
    if (has("encodeDownlink")) {
      return entry.encodeDownlink({ data, fPort: port, variables: {} });
    }
    return { bytes: has("Encode") ? entry.Encode(port, data, {}) : entry.Encoder(data, port) };
  };

  if (what === "entries") {
    return JSON.stringify({
      decode: has("decodeUplink") || has("Decode") || has("Decoder"),
      encode: has("encodeDownlink") || has("Encode") || has("Encoder"),
    });
  }
  const result = (what === "decode" ? decode : encode)(JSON.parse(input)) || {};
  if (typeof result.then === "function") throw new Error("a promise is no answer");
  const lost = [];
  const plain = (key, value) => {
    if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    if (typeof value !== "number" || Number.isFinite(value)) return value;
    lost.push(key);
    return null;
  };
  const data = JSON.stringify(result.data, plain) || "null";
  const bytes = JSON.stringify(result.bytes === undefined ? null : Array.from(result.bytes)) || "null";
  const rest = JSON.stringify({ errors: texts(result.errors), warnings: texts(result.warnings), lost });
  return `{"data":${data},"bytes":${bytes},${rest.slice(1)}`;
})
