variable "gcp_project" {
  type        = string
  description = "Google Cloud project that holds the buckets; the same in every module."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Where the buckets are: the cluster's region, so that reading costs no traffic, or a multi-region that contains it, such as EU. It can not be changed later."
  nullable    = false

  validation {
    condition     = can(regex("^([a-z]+-[a-z]+[0-9]+|EU|US|ASIA)$", var.location))
    error_message = "location is a region such as europe-west1, or EU, US or ASIA."
  }
}

variable "projects" {
  type        = map(string)
  description = "Buckets' names by Refeed project. A name is unique in all of Google Cloud, so begin it with the Google Cloud project."
  nullable    = false

  validation {
    condition     = alltrue([for bucket in values(var.projects) : can(regex("^[a-z0-9][-a-z0-9]{1,61}[a-z0-9]$", bucket))])
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits and hyphens. (With a dot it would be a domain that you must own.)"
  }

  validation {
    condition     = alltrue([for bucket in values(var.projects) : !startswith(bucket, "goog") && !strcontains(bucket, "google")])
    error_message = "Google refuses buckets that are named like itself."
  }

  validation {
    condition     = length(distinct(values(var.projects))) == length(var.projects)
    error_message = "Two Refeed projects have the same bucket: a project is the unit of isolation, and rights are given by bucket."
  }
}

variable "cache_days" {
  type        = number
  description = <<-EOT
    Days after which what lies in <project>/cache/ goes: models and explanations, which a run makes again where
    it needs them. Tables and reports stay. Null keeps them for ever: set it where models are used elsewhere.
  EOT
  default     = 180

  validation {
    condition     = var.cache_days == null || try(var.cache_days >= 7 && floor(var.cache_days) == var.cache_days, false)
    error_message = "cache_days is a whole number of days, at least 7 (a run must not lose its models while it goes on), or null."
  }
}

variable "work_days" {
  type        = number
  description = "Days after which what a killed job of Dataflow left in <project>/datasets/work/ goes. No job takes that long."
  default     = 7
  nullable    = false

  validation {
    condition     = var.work_days >= 2 && floor(var.work_days) == var.work_days
    error_message = "work_days is a whole number of days, at least 2: a running job must not lose its files."
  }
}

variable "noncurrent_days" {
  type        = number
  description = "Days for which what was overwritten or deleted can be restored as an older version."
  default     = 30
  nullable    = false

  validation {
    condition     = var.noncurrent_days >= 1 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "noncurrent_days is a whole number of days, at least 1."
  }
}

variable "soft_delete_days" {
  type        = number
  description = "Days for which Google keeps even what has no version any more, and a deleted bucket; 0, or 7 to 90. It is stored at full price."
  default     = 7
  nullable    = false

  validation {
    condition     = var.soft_delete_days == 0 || (var.soft_delete_days >= 7 && var.soft_delete_days <= 90)
    error_message = "soft_delete_days is 0, or 7 to 90: Cloud Storage allows nothing else."
  }
}

variable "encryption_key" {
  type        = string
  description = "Cloud KMS key (projects/.../cryptoKeys/...) in `location`, which Cloud Storage's service agent may use; null for Google's own encryption."
  default     = null

  validation {
    condition     = var.encryption_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.encryption_key))
    error_message = "encryption_key is projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}
