-- Users whose connections to the relay must end, because something was taken from them that they
-- may be listening to. Triggers write them down, in the transaction that takes it away, whoever
-- does so: also a statement by hand.
CREATE TABLE evictions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL,
    -- 1: the user may not come back.
    for_good INTEGER NOT NULL,
    -- 1: it was done once, and is done again for who was just being authorised.
    is_repeat INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX evictions_due ON evictions (due_at);

ALTER TABLE users ADD COLUMN disabled_at INTEGER;

CREATE TRIGGER evict_ended_session AFTER DELETE ON tokens BEGIN
    INSERT INTO evictions (user_id, for_good) VALUES (OLD.user_id, 0);
END;

CREATE TRIGGER evict_changed_user AFTER UPDATE OF role, department_id ON users
WHEN OLD.role <> NEW.role OR OLD.department_id IS NOT NEW.department_id BEGIN
    INSERT INTO evictions (user_id, for_good) VALUES (NEW.id, 0);
END;

CREATE TRIGGER end_sessions_with_password AFTER UPDATE OF password ON users
WHEN OLD.password <> NEW.password BEGIN
    DELETE FROM tokens WHERE user_id = NEW.id;
END;

CREATE TRIGGER evict_disabled_user AFTER UPDATE OF disabled_at ON users
WHEN OLD.disabled_at IS NULL AND NEW.disabled_at IS NOT NULL BEGIN
    INSERT INTO evictions (user_id, for_good) VALUES (NEW.id, 1);
    DELETE FROM tokens WHERE user_id = NEW.id;
END;

CREATE TRIGGER evict_deleted_user AFTER DELETE ON users BEGIN
    INSERT INTO evictions (user_id, for_good) VALUES (OLD.id, 1);
END;

CREATE TRIGGER evict_former_assignee AFTER UPDATE OF assigned_to ON conversations
WHEN OLD.assigned_to IS NOT NULL AND OLD.assigned_to IS NOT NEW.assigned_to BEGIN
    INSERT INTO evictions (user_id, for_good) VALUES (OLD.assigned_to, 0);
END;

-- Also those of the department who may listen all the same: who may is not known here.
CREATE TRIGGER evict_former_department AFTER UPDATE OF department_id ON conversations
WHEN OLD.department_id IS NOT NULL AND OLD.department_id IS NOT NEW.department_id BEGIN
    INSERT INTO evictions (user_id, for_good)
    SELECT id, 0 FROM users WHERE department_id = OLD.department_id;
END;
