// The end of measured data channels in a page; what `channels_end.py` is in Python.
const MESSAGE = 65536;
const BUFFERED = 1 << 20;
const LOW = 1 << 18;
const DIFFERENT = 16;

const table = new Int32Array(256).map((_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0x82f63b78 : rest >>> 1;
  return rest;
});

/** CRC32C, going on from `sum`: the same as google_crc32c's `extend`. */
function extend(sum, bytes) {
  let rest = ~sum;
  for (const byte of bytes) rest = table[(rest ^ byte) & 255] ^ (rest >>> 8);
  return ~rest >>> 0;
}

const random = (size) => {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65536)));
  return bytes;
};

const pc = new RTCPeerConnection();
let channel;
let heard = () => {};
let got = [];
let began = 0;
let all;
const opened = new Promise((resolve) => {
  window.take = (offered) => {
    channel = offered;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW;
    channel.onmessage = ({ data }) => heard(data);
    channel.onopen = resolve;
    if (channel.readyState === "open") resolve();
  };
});
pc.ondatachannel = (event) => take(event.channel);

async function described() {
  await pc.setLocalDescription();
  if (pc.iceGatheringState !== "complete")
    await new Promise((resolve) => {
      pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && resolve();
    });
  return pc.localDescription.sdp.replace(/^a=sctp-port:.*\r\n/m, "$&a=x-forge-packet-size:2040\r\n"); // as our page says
}

async function haveRoom() {
  while (channel.bufferedAmount > BUFFERED)
    await new Promise((resolve) => {
      channel.onbufferedamountlow = resolve;
    });
}

window.end = {
  async offer() {
    take(pc.createDataChannel("bench0"));
    return described();
  },
  async answer({ sdp }) {
    await pc.setRemoteDescription({ type: "offer", sdp });
    return described();
  },
  async accept({ sdp }) {
    await pc.setRemoteDescription({ type: "answer", sdp });
    await opened;
  },
  listen({ messages }) {
    got = [];
    all = new Promise((resolve) => {
      heard = (data) => {
        if (!got.length) began = performance.now();
        got.push(data);
        if (got.length === messages) resolve(performance.now());
      };
    });
  },
  async taken() {
    const seconds = ((await all) - began) / 1000;
    const sum = got.reduce((sum, data) => extend(sum, new Uint8Array(data)), 0);
    return { seconds, counts: { bench0: got.length }, sums: { bench0: sum } };
  },
  async give({ messages }) {
    await opened;
    const different = Array.from({ length: DIFFERENT }, () => random(MESSAGE));
    for (let number = 0; number < messages; number++) {
      await haveRoom();
      channel.send(different[number % DIFFERENT]);
    }
    let sum = 0;
    for (let number = 0; number < messages; number++) sum = extend(sum, different[number % DIFFERENT]);
    return { bench0: sum };
  },
  async echo() {
    await new Promise((resolve) => {
      heard = (data) => (data.byteLength === 3 ? resolve() : channel.send(data));
    });
  },
};
