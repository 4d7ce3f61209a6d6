/** Size and rate of a camera or a screen, as a person or a kernel wants it; pure, runs in the browser tab. */

export interface Quality {
  width: number;
  height: number;
  /** Pictures a second. */
  fps: number;
}

export const USUAL: Quality = { width: 1280, height: 720, fps: 30 };

/** What the menu offers. */
export const PRESETS: readonly Quality[] = [
  { width: 320, height: 180, fps: 15 },
  { width: 640, height: 360, fps: 15 },
  { width: 640, height: 360, fps: 30 },
  { width: 1280, height: 720, fps: 15 },
  USUAL,
  { width: 1280, height: 720, fps: 60 },
  { width: 1920, height: 1080, fps: 30 },
];

/** What the browser is asked for: the nearest that the device has (W3C mediacapture-streams, ideal constraints). */
export function constraintsFor({ width, height, fps }: Quality): MediaTrackConstraints {
  return { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: fps } };
}

/** `720p30` is how cameras and broadcasters say it. */
export function words({ width, height, fps }: Quality): string {
  return width * 9 === height * 16 ? `${height}p${fps}` : `${width}×${height}, ${fps}`;
}

export function isSame(a: Quality, b: Quality): boolean {
  return a.width === b.width && a.height === b.height && a.fps === b.fps;
}
