variable "gcp_project" {
  type        = string
  description = "Google Cloud project of the workers; the same in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Region of the workers: the buckets', so that parts are written without traffic between regions."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region such as europe-west1: Dataflow picks the zone."
  }
}

variable "name" {
  type        = string
  description = "What names of the subnetwork and its rules begin with."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,30}[a-z0-9])?$", var.name))
    error_message = "name has at most 32 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "network" {
  type        = string
  description = "Id of the network: the module network's `network`."
  nullable    = false
}

variable "range" {
  type        = string
  description = "Addresses of the workers (CIDR), one each; overlaps none of the module network's `ranges`. A /22 is enough for the 1,000 workers that a spec may ask for."
  default     = "10.0.8.0/22"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9.]+/[0-9]+$", var.range)) && try(cidrhost(var.range, 0) == split("/", var.range)[0], false)
    error_message = "range is an IPv4 range that begins at its own first address, such as 10.0.8.0/22."
  }

  validation {
    condition     = try(tonumber(split("/", var.range)[1]) <= 27, true)
    error_message = "range is a /27 or larger: the 20 workers of a job by default need it."
  }
}

variable "google_range" {
  type        = string
  description = "Addresses that names of Google's APIs resolve to: the module network's `google_range`."
  nullable    = false
}

variable "flow_log_sampling" {
  type        = number
  description = "Share of the connections that flow logs tell of, 0 to 1; 0 turns them off. A shuffle has many."
  default     = 0
  nullable    = false

  validation {
    condition     = var.flow_log_sampling >= 0 && var.flow_log_sampling <= 1
    error_message = "flow_log_sampling is a share from 0 to 1."
  }
}
