// Laravel Echo, as any frontend of a Laravel application sets it up.
import Echo from "laravel-echo";
import Pusher from "pusher-js";

export function createEcho(pusher, token) {
  window.Pusher = Pusher;
  window.Echo = new Echo({
    broadcaster: "pusher",
    key: pusher.key,
    cluster: pusher.cluster,
    wsHost: pusher.host,
    wsPort: pusher.port,
    wssPort: pusher.port,
    forceTLS: pusher.scheme === "https",
    enabledTransports: ["ws", "wss"],
    authEndpoint: "/broadcasting/auth",
    auth: { headers: { Authorization: `Bearer ${token}` } },
  });
  return window.Echo;
}
