// Front end of aiortc as its examples have it: a video of the kernel's, and where it is asked for, the camera to it (browser tab).
async function gathered(connection) {
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
}

async function render({ model, el, signal }) {
  const connection = new RTCPeerConnection();
  signal.addEventListener("abort", () => connection.close());
  const video = document.createElement("video");
  video.className = "bench-shown";
  video.autoplay = video.muted = true;
  el.append(video);
  connection.ontrack = ({ track }) => {
    video.srcObject = new MediaStream([track]);
  };
  model.on("msg:custom", ({ sdp }) => connection.setRemoteDescription({ type: "answer", sdp }));
  if (model.get("camera")) {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true });
    connection.addTransceiver(stream.getVideoTracks()[0], { direction: "sendrecv", streams: [stream] });
  } else {
    connection.addTransceiver("video", { direction: "recvonly" });
  }
  await connection.setLocalDescription(await connection.createOffer());
  await gathered(connection);
  model.send({ sdp: connection.localDescription.sdp });
}

export default { render };
