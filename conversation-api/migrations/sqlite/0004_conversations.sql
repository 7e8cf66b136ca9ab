-- When a customer wrote last, and which message that was: kept up to date by a trigger, whoever
-- stores the message. Lists and numbers of unread conversations need not look at messages.
ALTER TABLE conversations ADD COLUMN last_inbound_at INTEGER;
ALTER TABLE conversations ADD COLUMN last_inbound_id INTEGER NOT NULL DEFAULT 0;

UPDATE conversations SET
    last_inbound_at = (SELECT MAX(m.created_at) FROM messages m
        WHERE m.conversation_id = conversations.id AND m.direction = 'inbound'),
    last_inbound_id = COALESCE((SELECT MAX(m.id) FROM messages m
        WHERE m.conversation_id = conversations.id AND m.direction = 'inbound'), 0);

CREATE TRIGGER note_inbound_message AFTER INSERT ON messages
WHEN NEW.direction = 'inbound' BEGIN
    UPDATE conversations SET
        last_inbound_at = MAX(COALESCE(last_inbound_at, NEW.created_at), NEW.created_at),
        last_inbound_id = MAX(last_inbound_id, NEW.id)
    WHERE id = NEW.conversation_id;
END;

CREATE INDEX conversations_assignee ON conversations (assigned_to, department_id, last_message_at DESC, id DESC);
CREATE INDEX conversations_department ON conversations (department_id, last_message_at DESC, id DESC);

-- Events for those whose connections end by what is announced: they go out before the evictions of
-- the same transaction. To everybody else the outbox brings them.
CREATE TABLE eviction_notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payload TEXT NOT NULL
);
