DROP INDEX `dictionary_kind_name_hash_unique`;--> statement-breakpoint
CREATE INDEX `dictionary_kind_name_hash` ON `dictionary` (`kind`,`name`,`hash`);--> statement-breakpoint
ALTER TABLE `plans` ADD `rows_from` integer;--> statement-breakpoint
ALTER TABLE `plans` ADD `members` text;