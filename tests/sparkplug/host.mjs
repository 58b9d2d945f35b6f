// A Sparkplug host that takes nothing on trust: it decodes with Eclipse Tahu's `sparkplug-payload`, talks by `mqtt`,
// keeps the rules of Sparkplug 3.0 itself, and writes down every violation. It knows nothing of the gateway's code.
import mqtt from "mqtt";
import payloads from "sparkplug-payload";

const codec = payloads.get("spBv1.0");
const REBIRTH = "Node Control/Rebirth";
const TYPES = new Set(["Int64", "UInt64", "Float", "Double", "Boolean", "String", "DateTime"]);

export const violations = [];
export const counts = { NBIRTH: 0, NDEATH: 0, NDATA: 0, DBIRTH: 0, DDATA: 0, DDEATH: 0, historical: 0, bytes: 0 };
/** Every uplink that was told, by its id. */
export const uplinks = new Set();
/** What the edge node last said. */
export let node = { online: false, seq: null, bdSeq: null, metrics: new Map(), devices: new Map() };
/** The births' numbers, in the order of connections. */
export const sessions = [];
/** When births of the edge node came, in milliseconds. */
export const births = [];
let aliases = new Map();
let hostOnline = false;

const violation = (rule, detail) => violations.push(`${rule}: ${detail}`);
const plain = (value) => (value && typeof value.toNumber === "function" ? BigInt(value.toString()) : value);

function checkMetrics(kind, device, metrics) {
  const birth = kind.endsWith("BIRTH");
  const owner = device ?? "node";
  const names = new Set();
  let historical = null;
  for (const metric of metrics) {
    if (metric.timestamp === undefined || metric.timestamp === null) violation("timestamp", `${kind} ${owner} ${metric.name}`);
    if (birth) {
      if (!metric.name) violation("birth has names", `${kind} ${owner}`);
      if (names.has(metric.name?.toLowerCase())) violation("names differ by more than case", `${owner} ${metric.name}`);
      names.add(metric.name?.toLowerCase());
      if (!TYPES.has(metric.type)) violation("birth has types", `${owner} ${metric.name} ${metric.type}`);
      if (metric.name === REBIRTH) {
        if (metric.alias !== undefined) violation("rebirth has no alias", owner);
        if (metric.type !== "Boolean" || metric.value !== false) violation("rebirth is Boolean false", `${metric.value}`);
        continue;
      }
      if (metric.alias === undefined) violation("birth has aliases", `${owner} ${metric.name}`);
      const alias = String(metric.alias);
      const known = aliases.get(alias);
      if (known && (known.owner !== owner || known.name !== metric.name)) {
        violation("aliases are unique", `${alias}: ${known.owner}/${known.name} and ${owner}/${metric.name}`);
      }
      aliases.set(alias, { owner, name: metric.name, type: metric.type });
    } else {
      if (metric.name) violation("data have aliases alone", `${kind} ${owner} ${metric.name}`);
      const known = aliases.get(String(metric.alias));
      if (!known) { violation("data use told aliases", `${kind} ${owner} ${metric.alias}`); continue; }
      if (known.owner !== owner) violation("an alias belongs to its device", `${owner} uses ${known.owner}/${known.name}`);
      if (metric.type !== known.type) violation("data have the type of the birth", `${owner}/${known.name}`);
      metric.name = known.name;
      if (historical !== null && historical !== !!metric.isHistorical) violation("a message is live or history", owner);
      historical = !!metric.isHistorical;
    }
  }
  return historical === true;
}

/** Live values of one metric never go back in time. */
function keep(target, metrics, historical, owner) {
  for (const metric of metrics) {
    const time = Number(metric.timestamp);
    const known = target.get(metric.name);
    if (!historical && known && time < known.time) violation("live values are in order of time", `${owner}/${metric.name}: ${time} after ${known.time}`);
    if (!historical) target.set(metric.name, { value: plain(metric.value), time, alias: metric.alias, type: metric.type, unit: metric.properties?.engUnit?.value });
    if (metric.name === "Uplink/Id" && metric.value) uplinks.add(metric.value);
  }
}

function hear(topic, bytes, packet) {
  const [, , kind, , device] = topic.split("/");
  if (kind === "NCMD" || kind === "DCMD") return;
  counts[kind] += 1;
  counts.bytes += bytes.length;
  if (packet.retain) violation("nothing is retained", topic);
  let payload;
  try { payload = codec.decodePayload(bytes); } catch (error) { return violation("payload", `${topic}: ${error}`); }
  const seq = payload.seq === undefined ? null : Number(payload.seq);
  const metrics = payload.metrics ?? [];
  const bdSeq = () => Number(metrics.find((metric) => metric.name === "bdSeq")?.value ?? NaN);
  if (kind === "NDEATH") {
    if (seq !== null) violation("NDEATH has no seq", `${seq}`);
    const number = bdSeq();
    if (Number.isNaN(number)) violation("NDEATH has bdSeq", topic);
    // A testament of a connection before this one says nothing of this one.
    if (number === node.bdSeq) { node.online = false; node.devices.forEach((state) => (state.online = false)); }
    return;
  }
  if (payload.timestamp === undefined) violation("payload has a timestamp", topic);
  if (kind === "NBIRTH") {
    if (!hostOnline) violation("births wait for the primary host", topic);
    if (seq !== 0) violation("NBIRTH has seq 0", `${seq}`);
    const number = bdSeq();
    if (!(number >= 0 && number <= 255)) violation("NBIRTH has bdSeq", `${number}`);
    if (!metrics.some((metric) => metric.name === REBIRTH)) violation("NBIRTH has the rebirth metric", topic);
    // A new connection may begin before the broker tells the end of the last one; then the number tells.
    const again = node.online && number === node.bdSeq;
    if (!again) {
      if (node.bdSeq !== null && number !== (node.bdSeq + 1) % 256) violation("bdSeq goes up by one", `${node.bdSeq} then ${number}`);
      sessions.push(number);
    }
    births.push(Date.now());
    aliases = new Map();
    node = { online: true, seq, bdSeq: number, metrics: new Map(), devices: new Map() };
    checkMetrics(kind, null, metrics);
    keep(node.metrics, metrics, false, "node");
    return;
  }
  if (!node.online) return violation("the node is born first", topic);
  if (seq !== (node.seq + 1) % 256) violation("seq goes up by one", `${topic}: ${node.seq} then ${seq}`);
  node.seq = seq;
  if (kind === "NDATA") {
    checkMetrics(kind, null, metrics);
    return keep(node.metrics, metrics, false, "node");
  }
  if (kind === "DBIRTH") {
    checkMetrics(kind, device, metrics);
    const known = node.devices.get(device);
    for (const name of known?.metrics.keys() ?? []) {
      if (!metrics.some((metric) => metric.name === name)) violation("a birth tells every metric", `${device}/${name}`);
    }
    const state = { online: true, metrics: new Map() };
    keep(state.metrics, metrics, false, device);
    node.devices.set(device, state);
    return;
  }
  const state = node.devices.get(device);
  if (!state?.online) return violation("a device is born first", topic);
  if (kind === "DDEATH") { state.online = false; return; }
  const historical = checkMetrics(kind, device, metrics);
  counts.historical += historical ? 1 : 0;
  keep(state.metrics, metrics, historical, device);
}

let client, group, edge, hostId;

/** Connects, subscribes, and goes on doing so. */
export function start(url, names) {
  ({ group, edge, hostId } = names);
  client = mqtt.connect(url, { clean: true, protocolVersion: 4, reconnectPeriod: 100 });
  client.on("message", hear);
  client.on("error", () => {});
  client.on("connect", () => {
    client.subscribe(`spBv1.0/${group}/#`, { qos: 1 }, () => { if (hostOnline) say(true); });
  });
}

export const stop = () => client.end(true);

const encode = (metrics) => codec.encodePayload({ timestamp: Date.now(), metrics });
const say = (online) => {
  const body = JSON.stringify({ online, timestamp: Date.now() });
  return client.publishAsync(`spBv1.0/STATE/${hostId}`, body, { qos: 1, retain: true });
};

/** Says that this host is there, or not. */
export async function present(online) {
  if (online) hostOnline = true;
  await say(online);
  // What was on its way may still come.
  if (!online) setTimeout(() => { hostOnline = false; }, 500);
}

export const raw = (topic, bytes) => client.publishAsync(topic, bytes);
export const command = (metrics) => raw(`spBv1.0/${group}/NCMD/${edge}`, encode(metrics));
export const rebirth = () => command([{ name: REBIRTH, type: "Boolean", value: true, timestamp: Date.now() }]);

/** Writes a device's downlink, by its alias as the birth told it. */
export function push(device, type, value) {
  const alias = node.devices.get(device).metrics.get("Downlink/Push").alias;
  return raw(`spBv1.0/${group}/DCMD/${edge}/${device}`, encode([{ alias, type, value, timestamp: Date.now() }]));
}

/** The value of a device's metric. */
export const value = (device, name) => node.devices.get(device)?.metrics.get(name)?.value;
