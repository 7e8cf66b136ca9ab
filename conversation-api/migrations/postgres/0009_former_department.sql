-- Of a department only its managers and account managers may listen to a conversation because of the
-- department (src/channels.rs). Its agents listen to what is assigned to them, and to the department,
-- which they keep: a move takes nothing from them.
CREATE OR REPLACE FUNCTION evict_former_department() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO evictions (user_id, for_good)
    SELECT id, 0 FROM users
    WHERE department_id = OLD.department_id AND role IN ('manager', 'account_manager');
    RETURN NULL;
END $$;
