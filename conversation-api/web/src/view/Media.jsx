import { useEffect, useRef, useState } from "preact/hooks";

import { fileName, isDrawable, sizeOf, useFile, useNearView } from "./files.js";
import { CloseIcon, DownloadIcon, FileIcon, FilmIcon, ImageIcon, SoundIcon } from "./icons.jsx";

const ICONS = { audio: SoundIcon, video: FilmIcon, image: ImageIcon, sticker: ImageIcon };
const MISSING = {
  pending: "Arriving…",
  unavailable: "This file is not available.",
};

/** The file of a message. Its place is kept while it is fetched, so that nothing around it moves. */
export function Media({ message, desk }) {
  const { type, media } = message;
  if (media && media.state !== "ready") return <Missing type={type} media={media} />;
  if (!media) return <Missing type={type} media={{ state: "unavailable" }} />;
  if ((type === "image" || type === "sticker") && isDrawable(media)) return <Picture message={message} desk={desk} />;
  return <File message={message} desk={desk} />;
}

function Missing({ type, media }) {
  const Icon = ICONS[type] ?? FileIcon;
  const isPicture = type === "image" || type === "sticker";
  return (
    <p class={isPicture ? `picture missing ${type}` : "file missing"}>
      <Icon />
      <span class="about"><span class="title"><bdi>{fileName(type, media)}</bdi></span><span class="detail">{MISSING[media.state]}</span></span>
    </p>
  );
}

function Picture({ message: { type, media, content }, desk }) {
  const { state, url, reason, fetchFile } = useFile(desk, media);
  const [isLarge, setLarge] = useState(false);
  const [isBroken, setBroken] = useState(false);
  const place = useRef(null);
  useNearView(place, state === "idle", fetchFile);
  const alt = content || fileName(type, media);
  const picture = (
    <div class={`picture ${type}`} ref={place}>
      {state === "ready" && !isBroken && (
        <button type="button" onClick={() => setLarge(true)} aria-label={`Enlarge: ${alt}`}>
          <img src={url} alt={alt} onError={() => setBroken(true)} />
        </button>
      )}
      {isBroken && <p class="state"><ImageIcon /> This image cannot be shown.</p>}
      {(state === "idle" || state === "loading") && <p class="state" role="status"><ImageIcon /> Fetching…</p>}
      {state === "failed" && (
        <p class="state">{reason} <button type="button" class="link" onClick={fetchFile}>Try again</button></p>
      )}
    </div>
  );
  return (
    <>
      {picture}
      {isLarge && <Enlarged url={url} alt={alt} name={fileName(type, media)} close={() => setLarge(false)} />}
    </>
  );
}

function Enlarged({ url, alt, name, close }) {
  const dialog = useRef(null);
  useEffect(() => { dialog.current.showModal(); }, []);
  return (
    <dialog class="enlarged" ref={dialog} onClose={close} aria-label={alt} onClick={(event) => event.target === dialog.current && dialog.current.close()}>
      <div class="tools">
        <a class="icon-button" href={url} download={name} aria-label="Download" title="Download"><DownloadIcon /></a>
        <button type="button" class="icon-button" onClick={() => dialog.current.close()} aria-label="Close" title="Close"><CloseIcon /></button>
      </div>
      <img src={url} alt={alt} />
    </dialog>
  );
}

/** Sound and film are played here; everything else is downloaded, never opened: it may be a page with a script in it. */
function File({ message: { type, media }, desk }) {
  const { state, url, reason, fetchFile } = useFile(desk, media);
  const Icon = ICONS[type] ?? FileIcon;
  const name = fileName(type, media);
  const isPlayed = type === "audio" || type === "video";
  if (state === "ready" && type === "audio") return <audio controls autoplay src={url} aria-label={name} />;
  if (state === "ready" && type === "video") return <video class="film" controls autoplay src={url} aria-label={name} />;
  return (
    <div class="file">
      <Icon />
      <span class="about">
        <span class="title"><bdi>{name}</bdi></span>
        <span class="detail" role={state === "failed" ? "alert" : undefined}>
          {state === "failed" ? reason : [sizeOf(media.size), media.mime_type?.split(";")[0]].filter(Boolean).join(", ")}
        </span>
      </span>
      {state === "ready" ? (
        <a class="button" href={url} download={name}>Save</a>
      ) : (
        <button type="button" class="button" disabled={state === "loading"} onClick={fetchFile}>
          {state === "loading" ? "Fetching…" : isPlayed ? "Play" : "Download"}
        </button>
      )}
    </div>
  );
}
