"""Chromium as the other end of raw data channels: ``python -m tests.engine.raw_chromium`` (a process, and its tab)."""

from __future__ import annotations

from tests.engine.page_end import serve_page

PAGE = r"""
window.base64 = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
};
window.bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
window.take = (channel) => {
  channel.binaryType = "arraybuffer";
  end.channels.set(channel.label, channel);
  end.got[channel.label] = [];
  channel.onmessage = ({ data }) => end.got[channel.label].push(new Uint8Array(data));
};
window.gathered = async () => {
  if (end.pc.iceGatheringState !== "complete")
    await new Promise((resolve) => {
      end.pc.onicegatheringstatechange = () => end.pc.iceGatheringState === "complete" && resolve();
    });
  return end.pc.localDescription.sdp.replace(/^a=sctp-port:.*\r\n/m, "$&a=x-forge-packet-size:2040\r\n"); // as our page says
};
window.end = {
  open({ channels }) {
    end.close();
    end.pc = new RTCPeerConnection();
    end.channels = new Map();
    end.got = {};
    end.pc.ondatachannel = ({ channel }) => take(channel);
    for (const { opener, label, ordered, maxRetransmits, protocol } of channels) {
      const options = { ordered, protocol, ...(maxRetransmits === null ? {} : { maxRetransmits }) };
      if (opener === "far") take(end.pc.createDataChannel(label, options));
    }
  },
  async offer() {
    await end.pc.setLocalDescription();
    return gathered();
  },
  async answer({ sdp }) {
    await end.pc.setRemoteDescription({ type: "offer", sdp });
    return end.offer();
  },
  async accept({ sdp }) {
    await end.pc.setRemoteDescription({ type: "answer", sdp });
  },
  opened() {
    const open = [...end.channels.values()].filter((channel) => channel.readyState === "open");
    return open.map(({ label, protocol, ordered, maxRetransmits }) => ({ label, protocol, ordered, maxRetransmits }));
  },
  send({ messages }) {
    const rest = Object.entries(messages).map(([label, texts]) => [end.channels.get(label), texts.map(bytes)]);
    while (rest.some(([, some]) => some.length))
      for (const [channel, some] of rest) if (some.length) channel.send(some.shift());
  },
  counts() {
    return Object.fromEntries(Object.entries(end.got).map(([label, messages]) => [label, messages.length]));
  },
  arrived({ label }) {
    return end.got[label].map(base64);
  },
  close() {
    end.pc?.close();
    end.pc = undefined;
  },
};
"""
NAMES = ("open", "offer", "answer", "accept", "opened", "send", "counts", "arrived", "close")

if __name__ == "__main__":
    serve_page(PAGE, NAMES)
