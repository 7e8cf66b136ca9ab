/** What messages are called that are not plain text, wherever they are shown in a line. */
export const KINDS = {
  image: "Image", sticker: "Sticker", video: "Video", audio: "Audio", document: "Document", location: "Place",
  contacts: "Contact", reaction: "Reaction", unsupported: "Message",
};
