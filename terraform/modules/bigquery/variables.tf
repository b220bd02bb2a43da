variable "gcp_project" {
  type        = string
  description = "Google Cloud project that holds the datasets, and pays for what lies there; the same in every module."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Where the datasets are: where the sources are, since BigQuery joins nothing across locations. A region, or EU or US. It can not be changed later."
  nullable    = false

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|EU|US)$", var.location))
    error_message = "location is a region such as europe-west1, or EU or US."
  }
}

variable "projects" {
  type        = map(string)
  description = "Ids of the staging datasets by Refeed project: letters, digits and underscores."
  nullable    = false

  validation {
    condition     = alltrue([for dataset in values(var.projects) : can(regex("^[A-Za-z0-9_]+$", dataset))])
    error_message = "A dataset's id has letters, digits and underscores, no hyphens."
  }

  validation {
    condition     = length(distinct(values(var.projects))) == length(var.projects)
    error_message = "Two Refeed projects have the same dataset: whoever may read one project's results of queries may not read the other's."
  }
}

variable "expiration_hours" {
  type        = number
  description = "Hours after which a table goes. The split step gives each an end of its own after 30, so that a session of six hours outlives a day's pin; this holds for what somebody else leaves there."
  default     = 30
  nullable    = false

  validation {
    condition     = var.expiration_hours >= 30
    error_message = "expiration_hours is at least 30: a split may go on reading a result that long."
  }
}

variable "encryption_key" {
  type        = string
  description = "Cloud KMS key (projects/.../cryptoKeys/...) in `location`, which BigQuery's service agent may use; null for Google's own encryption."
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key is projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}
