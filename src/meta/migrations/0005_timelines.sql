CREATE TABLE `timeline_chunks` (
	`timeline` integer NOT NULL,
	`type` text NOT NULL,
	`number` integer NOT NULL,
	`hash` text NOT NULL,
	`count` integer NOT NULL,
	PRIMARY KEY(`timeline`, `type`, `number`)
);
--> statement-breakpoint
CREATE TABLE `timeline_types` (
	`timeline` integer NOT NULL,
	`type` text NOT NULL,
	`count` integer NOT NULL,
	`hash` text NOT NULL,
	`places_hash` text NOT NULL,
	`start` text NOT NULL,
	`end` text NOT NULL,
	PRIMARY KEY(`timeline`, `type`)
);
--> statement-breakpoint
CREATE TABLE `timelines` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`name` text NOT NULL,
	`version` integer NOT NULL,
	`format` integer NOT NULL,
	`state` text NOT NULL,
	`error` text,
	`source` text NOT NULL,
	`created_at_micros` integer NOT NULL,
	`order` text NOT NULL,
	`clock` text NOT NULL,
	`max_jump_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `timelines_name_version` ON `timelines` (`name`,`version`);