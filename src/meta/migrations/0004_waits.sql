ALTER TABLE `backfills` ADD `until` text;--> statement-breakpoint
ALTER TABLE `backfills` ADD `before` text;--> statement-breakpoint
ALTER TABLE `backfills` ADD `before_members` text;--> statement-breakpoint
ALTER TABLE `backfills` ADD `is_aborted` integer DEFAULT false NOT NULL;