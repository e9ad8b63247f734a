ALTER TABLE demo.item ADD COLUMN note text;
