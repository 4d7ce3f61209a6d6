/** The widget's icons, drawn for it: 24 x 24, stroked in the colour of the text. */

const PATHS = {
  camera: ["M3.5 7.5h11v9h-11z", "M14.5 10.5l6-3v9l-6-3"],
  "camera-off": ["M3.5 7.5h11v9h-11z", "M14.5 10.5l6-3v9l-6-3", "M4 20L20 4"],
  microphone: [
    "M12 3.5a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0V6A2.5 2.5 0 0 1 12 3.5z",
    "M6.5 11a5.5 5.5 0 0 0 11 0",
    "M12 16.5v4",
    "M9 20.5h6",
  ],
  "microphone-off": [
    "M12 3.5a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0V6A2.5 2.5 0 0 1 12 3.5z",
    "M6.5 11a5.5 5.5 0 0 0 11 0",
    "M12 16.5v4",
    "M9 20.5h6",
    "M4 20L20 4",
  ],
  screen: ["M3.5 5h17v11h-17z", "M12 16v3.5M8 19.5h8", "M12 13V8M9.5 10.5L12 8l2.5 2.5"],
  browser: ["M12 4.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 0 1 0-7z", "M5 20c0-4 3-6 7-6s7 2 7 6"],
  kernel: [
    "M7 7h10v10H7z",
    "M10 10h4v4h-4z",
    "M10 3.5V7M14 3.5V7M10 17v3.5M14 17v3.5M3.5 10H7M3.5 14H7M17 10h3.5M17 14h3.5",
  ],
  sound: ["M4 9.5h3.5L12 5.5v13l-4.5-4H4z", "M15.5 9a4 4 0 0 1 0 6", "M18 6.5a8 8 0 0 1 0 11"],
  "sound-off": ["M4 9.5h3.5L12 5.5v13l-4.5-4H4z", "M15.5 9.5l5 5M20.5 9.5l-5 5"],
  channel: ["M4 8.5h15M15 4.5l4 4-4 4", "M20 15.5H5M9 11.5l-4 4 4 4"],
  key: ["M8 11a4 4 0 1 1 0 8a4 4 0 0 1 0-8z", "M11 12.5L19.5 4M16 7.5l3 3"],
  open: ["M9 6l6 6-6 6"],
  close: ["M6 6l12 12M18 6L6 18"],
  alert: ["M12 4L21.5 20h-19z", "M12 10v4.5", "M12 17v.6"],
} as const;

export type IconName = keyof typeof PATHS;

const SVG = "http://www.w3.org/2000/svg";

/** A decoration: what it says must also be said in words. */
export function icon(name: IconName): SVGSVGElement {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "forge-rtc-icon");
  drawing.setAttribute("viewBox", "0 0 24 24");
  drawing.setAttribute("aria-hidden", "true");
  drawing.setAttribute("focusable", "false");
  setIcon(drawing, name);
  return drawing;
}

export function setIcon(drawing: SVGSVGElement, name: IconName): void {
  if (drawing.dataset.icon === name) return;
  drawing.dataset.icon = name;
  const paths = PATHS[name].map((data) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", data);
    return path;
  });
  drawing.replaceChildren(...paths);
}
