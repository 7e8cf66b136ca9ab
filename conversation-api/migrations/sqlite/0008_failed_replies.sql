-- A reply whose message has failed is done: the message says why, and agents can send it again. Dead is
-- what operators have to look at.
UPDATE outbox SET sent_at = dead_at, dead_at = NULL
WHERE kind = 'whatsapp' AND dead_at IS NOT NULL AND error NOT LIKE 'the row cannot be read:%';
