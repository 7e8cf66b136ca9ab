// Which installed packages a suite means by its version.
export const VERSIONS = {
  "pusher-js": { 7: { pusher: "pusher-js-7" }, 8: { pusher: "pusher-js-8" } },
  echo: {
    1: { pusher: "pusher-js-7", echo: "laravel-echo-1" },
    2: { pusher: "pusher-js-8", echo: "laravel-echo-2" },
  },
  fallback: {
    2: { pusher: "pusher-js-8", echo: "laravel-echo-2" },
    7: { pusher: "pusher-js-7" },
    8: { pusher: "pusher-js-8" },
  },
  pages: { 8: { pusher: "pusher-js-8" } },
  resume: {
    1: { pusher: "pusher-js-7", echo: "laravel-echo-1" },
    2: { pusher: "pusher-js-8", echo: "laravel-echo-2" },
  },
  tabs: { 2: { pusher: "pusher-js-8", echo: "laravel-echo-2" } },
};
