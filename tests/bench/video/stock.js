// Front end of peer (a): the camera, one RTCPeerConnection, offer and answer over the widget's comm (browser tab).

/** Chromium starts at a fraction of the picture's size; with such hints it sends all of it at once, as to our own engine. */
function withHint(sdp, hint) {
  let hinted = sdp;
  for (const [line, type] of sdp.matchAll(/^a=rtpmap:(\d+) (?:VP8|H264)\/90000/gm)) {
    const parameters = new RegExp(`^a=fmtp:${type} .*`, "m");
    hinted = parameters.test(hinted)
      ? hinted.replace(parameters, `$&;${hint}`)
      : hinted.replace(line, `${line}\r\na=fmtp:${type} ${hint}`);
  }
  return hinted;
}

async function gathered(connection) {
  while (connection.iceGatheringState !== "complete") {
    await new Promise((resolve) => connection.addEventListener("icegatheringstatechange", resolve, { once: true }));
  }
}

async function render({ model, el, signal }) {
  el.textContent = "aiortc in a thread";
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  const connection = new RTCPeerConnection();
  signal.addEventListener("abort", () => connection.close());
  model.on("msg:custom", ({ sdp }) =>
    connection.setRemoteDescription({ type: "answer", sdp: withHint(sdp, model.get("hint")) }),
  );
  for (const track of stream.getVideoTracks()) connection.addTrack(track, stream);
  await connection.setLocalDescription(await connection.createOffer());
  await gathered(connection);
  model.send({ sdp: connection.localDescription.sdp });
}

export default { render };
