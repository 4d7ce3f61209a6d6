/** Two projects: what is pure runs in node, what needs WebRTC or a DOM in a real Chromium (the system's). */

import { existsSync } from "node:fs";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";

const SYSTEM_CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = process.env.FORGE_RTC_CHROMIUM ?? SYSTEM_CHROMIUM.find((path) => existsSync(path));

const FLAGS = [
  "--no-sandbox",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--allow-loopback-in-peer-connection",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/** Milliseconds that a test, and a condition in it, may take on a machine that does other work, too. */
const LIMIT = 30_000;
const PATIENCE = { poll: { timeout: 10_000 } };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          testTimeout: LIMIT,
          expect: PATIENCE,
          restoreMocks: true,
          environment: "node",
          include: ["tests/node/**/*.test.ts"],
        },
      },
      {
        test: {
          name: "chromium",
          testTimeout: LIMIT,
          expect: PATIENCE,
          restoreMocks: true,
          include: ["tests/chromium/**/*.test.ts"],
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            api: { host: "127.0.0.1" },
            provider: playwright({
              launchOptions: { args: FLAGS, ...(executablePath ? { executablePath } : {}) },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
    ],
  },
});
