variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that holds the datasets and pays for their storage. Use the same project in every module."
  nullable    = false
}

variable "location" {
  type        = string
  description = "The location of the datasets: a region, EU or US. It must be the location of the sources, since BigQuery cannot join across locations. It cannot be changed later."
  nullable    = false

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|EU|US)$", var.location))
    error_message = "location must be a region such as europe-west1, or EU or US."
  }
}

variable "projects" {
  type        = map(string)
  description = "The IDs of the staging datasets by Refeed project. An ID consists of letters, digits and underscores."
  nullable    = false

  validation {
    condition     = alltrue([for dataset in values(var.projects) : can(regex("^[A-Za-z0-9_]+$", dataset))])
    error_message = "A dataset ID may contain only letters, digits and underscores. Replace hyphens with underscores."
  }

  validation {
    condition     = length(distinct(values(var.projects))) == length(var.projects)
    error_message = "Two Refeed projects share a dataset. Access is granted per dataset, so each project must have its own to keep its query results private."
  }
}

variable "expiration_hours" {
  type        = number
  description = "The number of hours after which a table is deleted. The split step sets an expiration of 30 hours on the tables that it creates: a snapshot lasts a day, and a read session six hours more. This default applies to all other tables."
  default     = 30
  nullable    = false

  validation {
    condition     = var.expiration_hours >= 30
    error_message = "expiration_hours must be at least 30: a split may read a query result for that long."
  }
}

variable "encryption_key" {
  type        = string
  description = "The Cloud KMS key (projects/.../cryptoKeys/...) that encrypts the datasets. It must be in `location`, and BigQuery's service agent must be allowed to use it. Null selects Google-managed encryption."
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key must have the form projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}
