-- What is open is little of all that ever was, and what lists and their numbers ask for most.
CREATE INDEX conversations_open ON conversations (last_message_at DESC, id DESC) WHERE status = 'open';
CREATE INDEX conversations_open_assignee ON conversations (assigned_to, last_message_at DESC, id DESC)
    WHERE status = 'open';
CREATE INDEX conversations_open_numbers ON conversations (department_id, assigned_to, last_inbound_id, status)
    WHERE status = 'open';

-- How much is kept is asked for before each file.
CREATE INDEX media_kept ON media (state, size) WHERE state = 'ready';
