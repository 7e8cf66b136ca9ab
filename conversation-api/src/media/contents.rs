//! What is in a file, by its first bytes. What a customer, or whoever poses as WhatsApp, says of it
//! only chooses between kinds that begin alike; what is not known is bytes to be downloaded.

/// Bytes that are looked at.
pub const BEGINNING: usize = 4096;

const ANY: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";

/// Office documents and other archives that begin as ZIP does.
const ZIPPED: [&str; 7] = [
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "application/zip",
];

/// Office documents of before.
const OLE: [&str; 3] = [
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
];

/// Texts, all of which are shown as plain ones.
const TEXTS: [&str; 2] = ["text/plain", "text/csv"];

/// The media type of a file that begins so and is said to be `claimed`: one of a list, none of which
/// a browser runs.
pub fn media_type(beginning: &[u8], claimed: &str) -> &'static str {
    let claimed = claimed.split(';').next().unwrap_or_default().trim();
    let claimed = claimed.to_ascii_lowercase();
    let one_of = |known: &[&'static str]| known.iter().find(|known| **known == claimed).copied();
    match beginning {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => "image/webp",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        [b'I', b'D', b'3', ..] | [0xff, 0xfb | 0xf3 | 0xf2, ..] => "audio/mpeg",
        [0xff, 0xf1 | 0xf9, ..] => "audio/aac",
        [b'#', b'!', b'A', b'M', b'R', ..] => "audio/amr",
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => film(brand, &claimed),
        [b'%', b'P', b'D', b'F', b'-', ..] => "application/pdf",
        [b'P', b'K', 3, 4, ..] => one_of(&ZIPPED).unwrap_or("application/zip"),
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => one_of(&OLE).unwrap_or(ANY),
        text if one_of(&TEXTS).is_some() && is_text(text) => TEXT,
        _ => ANY,
    }
}

/// Films and recordings in one container.
fn film(brand: &[u8], claimed: &str) -> &'static str {
    let is_audio = claimed.starts_with("audio/");
    match brand.get(..4) {
        Some(b"heic" | b"heix" | b"mif1" | b"msf1" | b"avif" | b"avis") | None => ANY,
        Some(b"M4A " | b"M4B ") => "audio/mp4",
        Some([b'3', b'g', ..]) if is_audio => "audio/3gpp",
        Some([b'3', b'g', ..]) => "video/3gpp",
        Some(_) if is_audio => "audio/mp4",
        Some(_) => "video/mp4",
    }
}

/// UTF-8 that may be cut at its end, without control characters.
fn is_text(beginning: &[u8]) -> bool {
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t');
    !text.is_empty() && !text.contains(is_control)
}

/// Whether a browser may show a file of this type in place.
pub fn is_shown(media_type: &str) -> bool {
    ["image/", "audio/", "video/"]
        .iter()
        .any(|kind| media_type.starts_with(kind))
}

/// What a file's name ends with, for one that has none.
pub fn extension(media_type: &str) -> &'static str {
    match media_type {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "audio/ogg" => "ogg",
        "audio/mpeg" => "mp3",
        "audio/aac" => "aac",
        "audio/amr" => "amr",
        "audio/mp4" => "m4a",
        "audio/3gpp" | "video/3gpp" => "3gp",
        "video/mp4" => "mp4",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        TEXT => "txt",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_say_what_a_file_is() {
        let docx = ZIPPED[0];
        for (beginning, claimed, expected) in [
            (&b"\xff\xd8\xff\xe0"[..], "image/png", "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n", "text/html", "image/png"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "image/webp"),
            (b"OggS\0", "audio/ogg; codecs=opus", "audio/ogg"),
            (b"\0\0\0\x18ftypmp42", "video/mp4", "video/mp4"),
            (b"\0\0\0\x18ftypmp42", "audio/mp4", "audio/mp4"),
            (b"\0\0\0\x18ftypheic", "image/jpeg", ANY),
            (b"%PDF-1.7", "application/pdf", "application/pdf"),
            (b"PK\x03\x04", docx, docx),
            (b"PK\x03\x04", "text/html", "application/zip"),
            ("größer;1\n".as_bytes(), "text/csv", TEXT),
            (&"größer".as_bytes()[..3], "text/plain", TEXT),
            (b"<html>", "text/html", ANY),
            (b"<html>", "image/jpeg", ANY),
            (
                b"<svg xmlns='http://www.w3.org/2000/svg'>",
                "image/svg+xml",
                ANY,
            ),
            (b"\0\x01", "text/plain", ANY),
            (b"", "image/jpeg", ANY),
        ] {
            assert_eq!(media_type(beginning, claimed), expected, "{claimed}");
        }
    }

    proptest! {
        #[test]
        fn no_file_is_what_a_browser_would_run(
            beginning in prop::collection::vec(any::<u8>(), 0..40),
            claimed in "(text/html|image/svg\\+xml|application/(javascript|xhtml\\+xml)|\\PC{0,20})",
        ) {
            let shown = media_type(&beginning, &claimed);
            for dangerous in ["html", "svg", "script", "application/xml"] {
                prop_assert!(!shown.contains(dangerous));
            }
        }
    }
}
