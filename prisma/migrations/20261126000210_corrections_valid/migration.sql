-- Apart from the constraint itself, since a migration is one transaction, and that one's lock keeps everybody out.
ALTER TABLE usage_event VALIDATE CONSTRAINT usage_event_kind;
