-- location, error and template are JSON. reply_to is WhatsApp's id of the message that is answered.
ALTER TABLE messages ADD COLUMN type TEXT NOT NULL DEFAULT 'text';
ALTER TABLE messages ADD COLUMN location TEXT;
ALTER TABLE messages ADD COLUMN reply_to TEXT;
ALTER TABLE messages ADD COLUMN template TEXT;
ALTER TABLE messages ADD COLUMN error TEXT;
ALTER TABLE messages ADD COLUMN client_id TEXT;
CREATE INDEX messages_latest ON messages (conversation_id, created_at, id);
-- A client that repeats a message does not send it twice.
CREATE UNIQUE INDEX messages_client ON messages (conversation_id, sender_id, client_id)
    WHERE client_id IS NOT NULL;

-- The files of messages. One that is pending is fetched by whoever holds its lease.
CREATE TABLE media (
    message_id BIGINT PRIMARY KEY REFERENCES messages (id),
    -- WhatsApp's id of the file.
    media_id TEXT NOT NULL,
    mime_type TEXT NOT NULL,
    filename TEXT,
    size BIGINT,
    state TEXT NOT NULL CHECK (state IN ('pending', 'ready', 'unavailable')),
    due_at BIGINT NOT NULL,
    leased_by TEXT,
    leased_until BIGINT NOT NULL DEFAULT 0,
    failures BIGINT NOT NULL DEFAULT 0,
    error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX media_due ON media (due_at) WHERE state = 'pending';

-- What WhatsApp reported of messages before it was noted what it calls them; forgotten after an hour.
CREATE TABLE early_statuses (
    whatsapp_id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX early_statuses_age ON early_statuses (created_at);
