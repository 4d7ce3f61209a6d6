"""Chromium as a viewer of what is published: ``python -m tests.engine.watching_chromium`` (a process, and its tab)."""

from __future__ import annotations

from tests.engine.page_end import serve_page

PAGE = """
window.viewers = {};
window.end = {
  async offer({ viewer }) {
    const pc = new RTCPeerConnection();
    const video = document.createElement("video");
    Object.assign(video, { muted: true, autoplay: true, playsInline: true });
    document.body.append(video);
    viewers[viewer] = { pc, video };
    pc.ontrack = ({ track }) => (video.srcObject = new MediaStream([track]));
    pc.addTransceiver("video", { direction: "recvonly" });
    await pc.setLocalDescription();
    if (pc.iceGatheringState !== "complete")
      await new Promise((done) => (pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done()));
    return pc.localDescription.sdp;
  },
  async accept({ viewer, sdp }) {
    await viewers[viewer].pc.setRemoteDescription({ type: "answer", sdp });
  },
  seen({ viewer, points }) {
    const { video } = viewers[viewer];
    const { videoWidth: width, videoHeight: height } = video;
    if (!width) return null;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const at = (x, y) => Array.from(data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3));
    const pixels = points.map(([y, x]) => at(Math.floor(x * width), Math.floor(y * height)));
    return { width, height, pixels };
  },
  async stats({ viewer }) {
    for (const report of (await viewers[viewer].pc.getStats()).values())
      if (report.type === "inbound-rtp") return report;
    return {};
  },
  close({ viewer }) {
    viewers[viewer]?.pc.close();
    viewers[viewer]?.video.remove();
    delete viewers[viewer];
  },
};
"""
NAMES = ("offer", "accept", "seen", "stats", "close")

if __name__ == "__main__":
    serve_page(PAGE, NAMES)
