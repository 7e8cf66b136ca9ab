-- Times are milliseconds since 1970 in UTC.

CREATE TABLE departments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL
);

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'operation_manager', 'manager', 'account_manager', 'agent')),
    department_id INTEGER REFERENCES departments (id),
    avatar TEXT,
    created_at INTEGER NOT NULL
);

CREATE TABLE tokens (
    hash TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_expiry ON tokens (expires_at);

CREATE TABLE contacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    phone TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    contact_id INTEGER NOT NULL REFERENCES contacts (id),
    department_id INTEGER REFERENCES departments (id),
    assigned_to INTEGER REFERENCES users (id),
    status TEXT NOT NULL CHECK (status IN ('open', 'closed')),
    last_sequence INTEGER NOT NULL DEFAULT 0,
    last_message_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX conversations_latest ON conversations (last_message_at DESC, id DESC);
CREATE INDEX conversations_contact ON conversations (contact_id);

CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    direction TEXT NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    content TEXT NOT NULL,
    sender_id INTEGER REFERENCES users (id),
    whatsapp_id TEXT UNIQUE,
    status TEXT CHECK (status IN ('pending', 'sent', 'delivered', 'read', 'failed')),
    created_at INTEGER NOT NULL
);
CREATE INDEX messages_conversation ON messages (conversation_id, id);
CREATE INDEX messages_inbound ON messages (conversation_id, id) WHERE direction = 'inbound';

CREATE TABLE read_marks (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    last_read_message_id INTEGER NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
) WITHOUT ROWID;

-- What is to be sent, in the order of its lane's sequence. A lane is a kind and a conversation.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('broadcast', 'whatsapp')),
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    sequence INTEGER NOT NULL,
    payload TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    sent_at INTEGER,
    dead_at INTEGER,
    error TEXT
);
CREATE UNIQUE INDEX outbox_waiting ON outbox (kind, conversation_id, sequence)
    WHERE sent_at IS NULL AND dead_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX outbox_dead ON outbox (dead_at) WHERE dead_at IS NOT NULL;

-- due_at: when to send next, null while nothing waits. A lane is sent by whoever holds its lease.
CREATE TABLE outbox_lanes (
    kind TEXT NOT NULL,
    conversation_id INTEGER NOT NULL REFERENCES conversations (id),
    due_at INTEGER,
    leased_by TEXT,
    leased_until INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, conversation_id)
) WITHOUT ROWID;
CREATE INDEX outbox_lanes_due ON outbox_lanes (kind, due_at) WHERE due_at IS NOT NULL;

-- Facts about the database as a whole, such as that it was seeded.
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
