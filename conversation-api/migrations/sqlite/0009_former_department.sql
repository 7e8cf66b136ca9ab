-- Of a department only its managers and account managers may listen to a conversation because of the
-- department (src/channels.rs). Its agents listen to what is assigned to them, and to the department,
-- which they keep: a move takes nothing from them.
DROP TRIGGER evict_former_department;
CREATE TRIGGER evict_former_department AFTER UPDATE OF department_id ON conversations
WHEN OLD.department_id IS NOT NULL AND OLD.department_id IS NOT NEW.department_id BEGIN
    INSERT INTO evictions (user_id, for_good)
    SELECT id, 0 FROM users
    WHERE department_id = OLD.department_id AND role IN ('manager', 'account_manager');
END;
