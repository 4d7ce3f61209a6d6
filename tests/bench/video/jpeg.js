// Front end of peer (b): the camera's pictures as JPEG of quality 0.8, at most two under way (browser tab).

const IN_FLIGHT = 2;

async function render({ model, el, signal }) {
  el.textContent = "JPEG over the comm";
  let inFlight = 0;
  model.on("msg:custom", () => {
    inFlight -= 1;
  });
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  const [track] = stream.getVideoTracks();
  // The way from a camera to a canvas that waits for nothing: a <video> would show each picture a moment later.
  const pictures = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");

  function fit({ displayWidth, displayHeight }) {
    if (canvas.width === displayWidth && canvas.height === displayHeight) return;
    canvas.width = displayWidth;
    canvas.height = displayHeight;
  }

  async function send() {
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.8));
    const buffer = await blob.arrayBuffer();
    if (!signal.aborted) model.send({}, undefined, [buffer]);
  }

  while (!signal.aborted) {
    const { value: picture, done } = await pictures.read();
    if (done) break;
    if (inFlight < IN_FLIGHT) {
      inFlight += 1;
      fit(picture);
      context.drawImage(picture, 0, 0);
      void send();
    }
    picture.close();
  }
}

export default { render };
