// The payload of HARDWARIO's climate monitor, as a vendor would write its decoder. In node it also measures itself:
// node peer.js HEX PAYLOADS
function decodeUplink(input) {
  const b = input.bytes;
  const u16 = (i) => b[i] | (b[i + 1] << 8);
  const i16 = (i) => (u16(i) << 16) >> 16;
  return {
    data: {
      header: b[0],
      temperature: i16(1) / 2,
      humidity: b[3] / 2,
      illuminance: u16(4) * 2,
      pressure: u16(6) * 2,
    },
  };
}

if (typeof process === "object" && process.argv.length > 3) {
  const payload = process.argv[2];
  const payloads = Number(process.argv[3]);
  let written = 0;
  const start = process.cpuUsage();
  for (let i = 0; i < payloads; i++) {
    const bytes = Array.from(Buffer.from(payload, "hex"));
    written += JSON.stringify(decodeUplink({ bytes, fPort: 1 }).data).length;
  }
  const { user, system } = process.cpuUsage(start);
  const took = 1000 * (user + system);
  if (written === 0) throw new Error("nothing was decoded");
  console.log(took / payloads);
}
