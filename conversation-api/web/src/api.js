// The backend's endpoints.

/** An address with those parameters that are set. */
function withQuery(path, parameters) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, value);
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

export function createApi(http) {
  const get = (path, parameters = {}) => http.json("GET", withQuery(path, parameters));
  const post = (path, body) => http.json("POST", path, body);

  return {
    logIn: (email, password) => post("/api/auth/login", { email, password }),
    logOut: () => post("/api/auth/logout"),
    user: () => get("/api/user"),
    colleagues: () => get("/api/users"),
    departments: () => get("/api/departments"),
    templates: () => get("/api/templates"),

    conversations: ({ filter, status, unread, departmentId, search, before, perPage }) =>
      get("/api/conversations", {
        filter, status, unread: unread ? 1 : undefined, department_id: departmentId, search, before, per_page: perPage,
      }),
    conversation: (id) => get(`/api/conversations/${id}`),
    messages: (id, before) => get(`/api/conversations/${id}/messages`, { before }),
    read: (id, messageId) => post(`/api/conversations/${id}/read`, { message_id: messageId }),
    take: (id) => post(`/api/conversations/${id}/take`),
    assign: (id, userId) => post(`/api/conversations/${id}/assign`, { user_id: userId }),
    resolve: (id) => post(`/api/conversations/${id}/resolve`),
    reopen: (id) => post(`/api/conversations/${id}/reopen`),
    move: (id, departmentId) => post(`/api/conversations/${id}/move`, { department_id: departmentId }),

    message: (id) => get(`/api/messages/${id}`),
    send: (message) => post("/api/messages/send", message),
    retry: (id) => post(`/api/messages/${id}/retry`),
    media: (url) => http.file(url),
  };
}
