-- Whoever adds a row makes its lane due.
CREATE TRIGGER make_lane_due AFTER INSERT ON outbox BEGIN
    INSERT INTO outbox_lanes (kind, conversation_id, due_at)
    VALUES (NEW.kind, NEW.conversation_id, NEW.created_at)
    ON CONFLICT (kind, conversation_id) DO UPDATE
    SET due_at = COALESCE(outbox_lanes.due_at, excluded.due_at);
END;
