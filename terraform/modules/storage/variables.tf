variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that holds the buckets. Use the same project in every module."
  nullable    = false
}

variable "location" {
  type        = string
  description = "The location of the buckets: the cluster's region, which avoids traffic between regions, or a multi-region that contains it, such as EU. It cannot be changed later."
  nullable    = false

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|EU|US|ASIA)$", var.location))
    error_message = "location must be a region such as europe-west1, or EU, US or ASIA."
  }
}

variable "projects" {
  type        = map(string)
  description = "The names of the buckets by Refeed project. Bucket names are unique in all of Google Cloud, so use the Google Cloud project as the prefix."
  nullable    = false

  validation {
    condition     = alltrue([for bucket in values(var.projects) : can(regex("^[a-z0-9][-a-z0-9]{1,61}[a-z0-9]$", bucket))])
    error_message = "A bucket name must consist of 3 to 63 lower-case letters, digits and hyphens. Names with dots are not allowed: they require a verified domain."
  }

  validation {
    condition     = alltrue([for bucket in values(var.projects) : !startswith(bucket, "goog") && !strcontains(bucket, "google")])
    error_message = "A bucket name must not start with goog or contain google: Cloud Storage rejects such names."
  }

  validation {
    condition     = length(distinct(values(var.projects))) == length(var.projects)
    error_message = "Two Refeed projects share a bucket. Access is granted per bucket, so each project must have its own."
  }
}

variable "work_days" {
  type        = number
  description = "The number of days after which files that killed Dataflow jobs left in <project>/datasets/work/ are deleted. It must exceed the duration of the longest job."
  default     = 7
  nullable    = false

  validation {
    condition     = var.work_days >= 2 && floor(var.work_days) == var.work_days
    error_message = "work_days must be a whole number of at least 2, so that a running job does not lose its files."
  }
}

variable "noncurrent_days" {
  type        = number
  description = "The number of days for which overwritten and deleted objects can be restored as noncurrent versions."
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "noncurrent_days must be a whole number of at least 1."
  }
}

variable "soft_delete_days" {
  type        = number
  description = "The soft delete retention in days, for deleted buckets and objects without a noncurrent version: 0 or 7 to 90. Retained data is billed at the full price."
  default     = 7
  nullable    = false

  validation {
    condition     = var.soft_delete_days == 0 || (var.soft_delete_days >= 7 && var.soft_delete_days <= 90)
    error_message = "soft_delete_days must be 0 or from 7 to 90: Cloud Storage allows no other value."
  }
}

variable "encryption_key" {
  type        = string
  description = "The Cloud KMS key (projects/.../cryptoKeys/...) that encrypts the buckets. It must be in `location`, and Cloud Storage's service agent must be allowed to use it. Null selects Google-managed encryption."
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key must have the form projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}
