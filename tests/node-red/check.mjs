// The flow file of the guide in a real Node-RED: what comes out of it, and what its button does.
import { spawn, execFileSync } from "node:child_process";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";

const [program, work, flow] = process.argv.slice(2);
const children = new Set();
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function run(name, command, args) {
  const log = openSync(`${work}/${name}.log`, "a");
  const child = spawn(command, args, { stdio: ["ignore", log, log] });
  children.add(child);
  child.on("exit", () => children.delete(child));
}
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
const log = (name) => readFileSync(`${work}/${name}.log`, "utf8");

const freePort = () => new Promise((done) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => { const { port } = server.address(); server.close(() => done(port)); });
});
function fail(why) {
  console.log(`FAILED ${why}\n${log("node-red").slice(-2000)}\n${log("gateway").slice(-1000)}`);
  process.exit(1);
}
async function until(what, found, seconds = 60) {
  for (const limit = Date.now() + seconds * 1000; ; await sleep(100)) {
    const result = await found();
    if (result) return result;
    if (Date.now() > limit) fail(`waited in vain for: ${what}`);
  }
}

const [brokerPort, simulatorPort, httpPort, redPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
writeFileSync(`${work}/mosquitto.conf`, `user root\nlistener ${brokerPort} 127.0.0.1\nallow_anonymous true\n`);
writeFileSync(`${work}/config.toml`, `version = 1
[gateway]
id = "gw1"
data_dir = "${work}/data"
[mqtt]
url = "mqtt://127.0.0.1:${brokerPort}"
[sources.simulated]
kind = "sigfox"
url = "http://127.0.0.1:${simulatorPort}/v2"
login = "5f0000000000000000000a91"
password = "simulated"
poll = "1s"
callback_token = "token"
[http]
listen = "127.0.0.1:${httpPort}"
`, { mode: 0o600 });
run("mosquitto", "mosquitto", ["-c", `${work}/mosquitto.conf`]);
run("simulator", program, ["simulate", "--listen", `127.0.0.1:${simulatorPort}`, "--devices", "5", "--every", "5s", "--no-rate-limits"]);
const list = () => {
  try {
    return JSON.parse(execFileSync(program, ["--config", `${work}/config.toml`, "devices", "--json"], { stdio: ["ignore", "pipe", "ignore"] }));
  } catch {
    return [];
  }
};
run("gateway", program, ["--config", `${work}/config.toml`, "run"]);
const devices = await until("the devices", () => { const found = list(); return found.length === 5 && found; });
const device = devices.find(({ name }) => name.startsWith("Weather")).id;

// What the guide says is to be put in: the broker's address and a device's id.
mkdirSync(`${work}/red`);
const nodes = JSON.parse(readFileSync(flow, "utf8").replaceAll("1A2B3C", device));
for (const node of nodes) if (node.type === "mqtt-broker") node.port = String(brokerPort);
writeFileSync(`${work}/red/flows.json`, JSON.stringify(nodes));
writeFileSync(`${work}/red/settings.js`, `module.exports = { flowFile: "flows.json", uiHost: "127.0.0.1", uiPort: ${redPort},
  telemetry: { enabled: false }, logging: { console: { level: "info" } } };\n`);
run("node-red", "node-red", ["--userDir", `${work}/red`, "--settings", `${work}/red/settings.js`]);
await until("Node-RED to be connected", () => log("node-red").includes("Connected to broker"));
console.log(log("node-red").match(/Node-RED version: .*/)[0]);

// An uplink twice comes out once; those of the cloud come by themselves.
const publish = (topic, body) => execFileSync("mosquitto_pub", ["-p", String(brokerPort), "-q", "1", "-t", topic, "-m", JSON.stringify(body)]);
const uplink = { v: 1, id: "1A2B3C-1789000000-251", device: "1A2B3C", name: "Tank 3", fields: { level: 1.23, alarm: false } };
publish("sigfox2mqtt/device/1A2B3C/event/up", uplink);
publish("sigfox2mqtt/device/1A2B3C/event/up", uplink);
await until("an uplink of the cloud", () => log("node-red").includes(`device: '${device}'`));
const shown = log("node-red").split("[debug:fields]").slice(1);
if (shown.filter((text) => text.includes("Tank 3")).length !== 1) fail("an uplink that was published twice did not come out once");
const text = shown.find((text) => text.includes(`device: '${device}'`)).split("\n[")[0];
console.log("an uplink that was published twice came out once; one of the cloud is\n" + text.slice(text.indexOf("{")).split(/\n\d+ /)[0].trim());

const answer = await fetch(`http://127.0.0.1:${redPort}/inject/sigfox-push`, { method: "POST" });
if (answer.status !== 200) fail(`the button answers ${answer.status}`);
const pushed = await until("the downlink", () => {
  const found = JSON.parse(execFileSync(program, ["--config", `${work}/config.toml`, "downlinks", "--json"]));
  return found.find((item) => item.id === "set-7");
});
console.log(`the button's downlink is in the queue: ${pushed.device} ${pushed.id} ${pushed.data} ${pushed.state}`);
const complaints = log("node-red").split("\n").filter((line) => /\[(error|warn)\] \[/.test(line));
if (complaints.length > 0) fail(`Node-RED has something to say: ${complaints.join("; ")}`);
console.log("Node-RED has no warning or error");
process.exit(0);
