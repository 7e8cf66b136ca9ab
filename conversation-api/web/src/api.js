// The backend's endpoints.

/** A refusal of the backend's, or a backend that cannot be reached (status 0). */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {object} session
 * @param {() => string | null} session.token the token of who is logged in
 * @param {() => string | undefined} session.socketId the page's connection to the relay
 * @param {() => void} session.expired called when the token is worth nothing any more
 */
export function createApi({ token, socketId, expired }) {
  async function call(method, path, body) {
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    if (token()) headers.Authorization = `Bearer ${token()}`;
    // Whoever publishes on our behalf leaves this connection out.
    if (socketId()) headers["X-Socket-ID"] = socketId();
    let response;
    try {
      response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    } catch {
      throw new ApiError(0, "The server cannot be reached.");
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    if (response.status === 401 && token()) expired();
    throw new ApiError(response.status, answer.message ?? `The server answered ${response.status}.`);
  }

  return {
    logIn: (email, password) => call("POST", "/api/auth/login", { email, password }),
    logOut: () => call("POST", "/api/auth/logout"),
    user: () => call("GET", "/api/user"),
    colleagues: () => call("GET", "/api/users"),
    conversations: ({ page = 1, perPage }) => call("GET", `/api/conversations?page=${page}&per_page=${perPage}`),
    conversation: (id) => call("GET", `/api/conversations/${id}`),
    messages: (id, before) => call("GET", `/api/conversations/${id}/messages${before ? `?before=${before}` : ""}`),
    assign: (id, userId) => call("POST", `/api/conversations/${id}/assign`, { user_id: userId }),
    read: (id, messageId) => call("POST", `/api/conversations/${id}/read`, { message_id: messageId }),
    send: (id, content) =>
      call("POST", "/api/messages/send", { conversation_id: id, type: "text", content }),
  };
}
