-- Which state of a message is the newer one: the place in the conversation's sequence of its last change.
ALTER TABLE messages ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
