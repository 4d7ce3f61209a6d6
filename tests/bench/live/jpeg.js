// Shows each JPEG that the kernel sends, and answers, so that the kernel sends the next one (browser tab).
function render({ model, el }) {
  const canvas = document.createElement("canvas");
  canvas.className = "bench-shown";
  el.append(canvas);
  const context = canvas.getContext("2d");
  model.on("msg:custom", async (_, buffers) => {
    const picture = await createImageBitmap(new Blob([buffers[0]], { type: "image/jpeg" }));
    [canvas.width, canvas.height] = [picture.width, picture.height];
    context.drawImage(picture, 0, 0);
    model.send({ shown: true });
  });
  model.send({ shown: true });
}

export default { render };
