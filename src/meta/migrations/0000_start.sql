CREATE TABLE `dictionary` (
	`kind` text NOT NULL,
	`id` integer NOT NULL,
	`name` text NOT NULL,
	`hash` text NOT NULL,
	PRIMARY KEY(`kind`, `id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `dictionary_kind_name_hash_unique` ON `dictionary` (`kind`,`name`,`hash`);--> statement-breakpoint
CREATE TABLE `errors` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`position` integer,
	`source` text NOT NULL,
	`line` integer,
	`type` text,
	`time` text,
	`code` text NOT NULL,
	`message` text NOT NULL,
	`sample` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `plans` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`hash` text NOT NULL,
	`position` integer NOT NULL,
	`applied_at_micros` integer NOT NULL,
	`json` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `runs` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`kind` text NOT NULL,
	`started_at_micros` integer NOT NULL,
	`finished_at_micros` integer,
	`state` text NOT NULL,
	`detail` text NOT NULL
);
