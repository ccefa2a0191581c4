CREATE TABLE `late` (
	`aggregate` text NOT NULL,
	`event` text NOT NULL,
	`level_ms` integer NOT NULL,
	`count` integer NOT NULL,
	`first` text NOT NULL,
	`latest` text NOT NULL,
	PRIMARY KEY(`aggregate`, `event`, `level_ms`)
);
