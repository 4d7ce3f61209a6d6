// A camera that is made up: video from getUserMedia is moving pictures that carry their time of drawing; runs in the page.
// A worker (camera_worker.js) draws, as a camera's process does: what the page itself is busy with delays no picture.
(() => {
  const OPTIONS = __OPTIONS__;
  const WORKER = __WORKER__;

  const devices = navigator.mediaDevices;
  if (!devices) return;
  const real = devices.getUserMedia.bind(devices);
  // When getUserMedia resolved last, and a function that asks the worker for its counts.
  window.benchCamera = { resolved: 0, counts: null };
  devices.getUserMedia = async (constraints) => {
    if (!constraints?.video) return real(constraints);
    const track = new MediaStreamTrackGenerator({ kind: "video" });
    const worker = new Worker(URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" })));
    const answer = () =>
      new Promise((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
      });
    const ready = answer();
    worker.postMessage({ writable: track.writable, options: OPTIONS }, [track.writable]);
    await ready;
    window.benchCamera.counts = () => {
      worker.postMessage(null);
      const silence = new Promise((_, reject) => setTimeout(() => reject(new Error("the camera has ended")), 5000));
      return Promise.race([answer(), silence]);
    };
    window.benchCamera.resolved = Date.now();
    return new MediaStream([track]);
  };
})();
