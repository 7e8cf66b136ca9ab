-- Until when whoever takes a lane's rows asked to be left alone with them.
ALTER TABLE outbox_lanes ADD COLUMN left_alone_until INTEGER;
