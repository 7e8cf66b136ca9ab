// Files of messages: how they are named, and how they are fetched for the page.
import { useEffect, useRef, useState } from "preact/hooks";

import { KINDS } from "../preview.js";

/** Kinds that a browser draws without running anything in them. */
const IMAGES = new Set(["image/jpeg", "image/png", "image/webp", "image/gif"]);

export const isDrawable = (media) => IMAGES.has(media?.mime_type?.split(";")[0]);

export const fileName = (type, media) => media?.filename || KINDS[type] || "File";

const UNITS = ["B", "KB", "MB", "GB"];

/** A size as people read it: "240 KB". */
export function sizeOf(bytes) {
  if (typeof bytes !== "number") return "";
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

/** Fetches a message's file when it is asked for; what it holds is given back when the message goes. */
export function useFile(desk, media) {
  const [file, setFile] = useState({ state: "idle", url: null });
  const held = useRef({ url: null, isGone: false, isAsked: false });

  useEffect(() => {
    const { current } = held;
    current.isGone = false;
    return () => {
      current.isGone = true;
      if (current.url) URL.revokeObjectURL(current.url);
    };
  }, []);

  async function fetchFile() {
    const { current } = held;
    if (current.isAsked) return;
    current.isAsked = true;
    setFile({ state: "loading", url: null });
    try {
      const blob = await desk.media(media.url);
      if (current.isGone) return;
      current.url = URL.createObjectURL(blob);
      setFile({ state: "ready", url: current.url });
    } catch (error) {
      if (error.status === undefined) throw error;
      current.isAsked = false;
      if (!current.isGone) setFile({ state: "failed", url: null, reason: error.message });
    }
  }

  return { ...file, fetchFile };
}

/** Does something once an element is about to be seen. */
export function useNearView(element, isWanted, seen) {
  useEffect(() => {
    if (!isWanted) return undefined;
    const observer = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      seen();
    }, { rootMargin: "400px" });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [isWanted]);
}
