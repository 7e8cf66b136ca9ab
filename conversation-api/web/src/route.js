// What the address says is open: `#/conversation/7`, `#/department/1`, or nothing.

export function currentRoute() {
  const [, view, id] = /^#\/(conversation|department)\/([0-9]+)$/.exec(location.hash) ?? [];
  return view ? { view, id: Number(id) } : { view: "none", id: null };
}

export const conversationHref = (id) => `#/conversation/${id}`;
export const departmentHref = (id) => `#/department/${id}`;
export const HOME_HREF = "#/";
