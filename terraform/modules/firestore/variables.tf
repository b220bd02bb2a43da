variable "gcp_project" {
  type        = string
  description = "Google Cloud project that holds the databases; the same in every module."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Where the databases are: a region such as europe-west1, or eur3 or nam5, which outlive a region. It can not be changed later."
  nullable    = false

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|eur3|nam5|nam7)$", var.location))
    error_message = "location is a region such as europe-west1, or eur3, nam5 or nam7. (Firestore's multi-regions are not named EU and US.)"
  }
}

variable "projects" {
  type        = map(string)
  description = "Names of the databases by Refeed project. Rights hold for a whole database, so each project has its own."
  nullable    = false

  validation {
    condition     = alltrue([for database in values(var.projects) : can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", database))])
    error_message = "A database's name has 4 to 63 lower-case letters, digits and hyphens, begins with a letter, and does not end in a hyphen; it is not (default), which others use too."
  }

  validation {
    condition     = length(distinct(values(var.projects))) == length(var.projects)
    error_message = "Two Refeed projects have the same database: rights hold for the whole of it."
  }
}

variable "indexes" {
  type        = string
  description = "The text of firestore.indexes.json, as the Firebase CLI reads it: what is indexed, and what is exempt. One file for both, so that they can not differ."
  nullable    = false

  validation {
    condition     = can(jsondecode(var.indexes).indexes) && can(jsondecode(var.indexes).fieldOverrides)
    error_message = "indexes is the text of a firestore.indexes.json, with indexes and fieldOverrides: file(\"firestore.indexes.json\"), not its path."
  }
}

variable "backup_days" {
  type        = number
  description = "Days for which a daily backup is kept, at most 98; 0 for none. Point-in-time recovery goes back seven days without."
  default     = 14
  nullable    = false

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 98 && floor(var.backup_days) == var.backup_days
    error_message = "backup_days is a whole number from 0 to 98: Firestore keeps backups for 14 weeks at the most."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  description = "Whether each of the last seven days can be read to the minute."
  default     = true
  nullable    = false
}

variable "delete_protection" {
  type        = bool
  description = "Whether Google refuses to delete a database. Turn it off in an apply of its own; with it on, `terraform destroy` leaves the databases."
  default     = true
  nullable    = false
}

variable "encryption_key" {
  type        = string
  description = "Cloud KMS key (projects/.../cryptoKeys/...) in `location`, which Firestore's service agent may use; null for Google's own encryption. It can not be changed later."
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key is projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}
