variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that holds the databases. Use the same project in every module."
  nullable    = false
}

variable "location" {
  type        = string
  description = "The location of the databases: a region such as europe-west1, or a multi-region (eur3, nam5, nam7), which survives the loss of a region. It cannot be changed later."
  nullable    = false

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|eur3|nam5|nam7)$", var.location))
    error_message = "location must be a region such as europe-west1, or eur3, nam5 or nam7. Firestore has no EU or US."
  }
}

variable "projects" {
  type        = map(string)
  description = "The names of the databases by Refeed project. Access is granted per database, so each project has its own."
  nullable    = false

  validation {
    condition     = alltrue([for database in values(var.projects) : can(regex("^[a-z][a-z0-9-]{2,61}[a-z0-9]$", database))])
    error_message = "A database name must consist of 4 to 63 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen. The database (default) is not allowed, since other applications may use it."
  }

  validation {
    condition     = length(distinct(values(var.projects))) == length(var.projects)
    error_message = "Two Refeed projects share a database. Access is granted per database, so each project must have its own."
  }
}

variable "indexes" {
  type        = string
  description = "The content of firestore.indexes.json in the Firebase CLI's format: the composite indexes and the field exemptions. Terraform and the Firebase CLI use the same file, so they cannot differ."
  nullable    = false

  validation {
    condition     = can(jsondecode(var.indexes).indexes) && can(jsondecode(var.indexes).fieldOverrides)
    error_message = "indexes must be the content of firestore.indexes.json, with indexes and fieldOverrides. Pass file(\"firestore.indexes.json\"), not the path."
  }
}

variable "backup_days" {
  type        = number
  description = "The number of days to keep daily backups, at most 98. 0 makes no backups. Point-in-time recovery covers seven days without backups."
  default     = 14
  nullable    = false

  validation {
    condition     = var.backup_days >= 0 && var.backup_days <= 98 && floor(var.backup_days) == var.backup_days
    error_message = "backup_days must be a whole number from 0 to 98: Firestore keeps backups for at most 14 weeks."
  }
}

variable "point_in_time_recovery" {
  type        = bool
  description = "Whether data can be restored to any minute of the last seven days."
  default     = true
  nullable    = false
}

variable "delete_protection" {
  type        = bool
  description = "Whether Google refuses to delete a database. If true, `terraform destroy` leaves the databases in place. To delete them, set this to false in a separate apply first."
  default     = true
  nullable    = false
}

variable "encryption_key" {
  type        = string
  description = "The Cloud KMS key (projects/.../cryptoKeys/...) that encrypts the databases. It must be in `location`, and Firestore's service agent must be allowed to use it. Null selects Google-managed encryption. It cannot be changed later."
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key must have the form projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}
