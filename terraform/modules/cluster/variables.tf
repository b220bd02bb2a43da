variable "gcp_project" {
  type        = string
  description = "Google Cloud project that holds the cluster; the same in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "Region of the cluster, the same as the subnetwork's. A regional cluster's control plane outlives a zone."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region such as europe-west1: a zonal cluster's control plane goes with its zone."
  }
}

variable "zones" {
  type        = set(string)
  description = "Zones of `region` for nodes, such as europe-west1-b; empty for Google's choice of three. Spot machines are easier to get in more zones."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for zone in var.zones : startswith(zone, "${var.region}-")])
    error_message = "zones are zones of region, such as europe-west1-b of europe-west1."
  }
}

variable "name" {
  type        = string
  description = "Name of the cluster."
  default     = "refeed"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$", var.name))
    error_message = "name has at most 40 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "network" {
  type        = string
  description = "Id of the network: the module network's `network`."
  nullable    = false
}

variable "subnetwork" {
  type        = string
  description = "Id of the nodes' subnetwork: the module network's `subnetwork`."
  nullable    = false
}

variable "secondary_ranges" {
  type = object({
    pods     = string
    services = string
  })
  description = "Names of the subnetwork's ranges: the module network's `secondary_ranges`."
  nullable    = false
}

variable "node_service_account" {
  type        = string
  description = "E-mail of the service account that nodes run as: the module identities' `node`. Never Compute Engine's own, which may edit the project."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9.-]+[.]iam[.]gserviceaccount[.]com$", var.node_service_account))
    error_message = "node_service_account is an account made for nodes (...@PROJECT.iam.gserviceaccount.com), not Compute Engine's own."
  }
}

variable "closed_tag" {
  type        = string
  description = "Network tag of nodes that node auto-provisioning makes: the module network's `closed_tag`."
  nullable    = false
}

variable "authorized_networks" {
  type        = map(string)
  description = <<-EOT
    Whence the control plane may be asked: ranges (CIDR) by what they are, such as {office = "203.0.113.0/24"}.
    Empty: from the cluster's own network only.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for range in values(var.authorized_networks) : can(cidrhost(range, 0))])
    error_message = "Each of authorized_networks is a range such as 203.0.113.0/24; of one address, 203.0.113.7/32."
  }

  validation {
    condition     = alltrue([for range in values(var.authorized_networks) : try(tonumber(split("/", range)[1]) >= 8, true)])
    error_message = "A range of authorized_networks is larger than a /8, which is nearly everybody: name your own."
  }
}

variable "public_endpoint" {
  type        = bool
  description = "Whether the control plane has a public address, for `authorized_networks` only; without one it is asked from the network itself, such as through a VPN."
  default     = true
  nullable    = false

  validation {
    condition     = var.public_endpoint || alltrue([for range in values(var.authorized_networks) : try(anytrue([for private in ["^10[.]", "^192[.]168[.]", "^172[.](1[6-9]|2[0-9]|3[01])[.]"] : can(regex(private, range))]), false)])
    error_message = "Without public_endpoint only private addresses (RFC 1918) reach the control plane: authorized_networks names others."
  }
}

variable "release_channel" {
  type        = string
  description = "How soon GKE's versions come: RAPID, REGULAR, STABLE or EXTENDED. All are upgraded by Google, in `maintenance`."
  default     = "REGULAR"
  nullable    = false

  validation {
    condition     = contains(["RAPID", "REGULAR", "STABLE", "EXTENDED"], var.release_channel)
    error_message = "release_channel is RAPID, REGULAR, STABLE or EXTENDED: a cluster without one stays on old versions."
  }
}

variable "maintenance" {
  type = object({
    start_time = optional(string, "2026-01-03T06:00:00Z")
    end_time   = optional(string, "2026-01-03T18:00:00Z")
    recurrence = optional(string, "FREQ=WEEKLY;BYDAY=SA,SU")
  })
  description = <<-EOT
    When Google may upgrade: a first window (RFC 3339, UTC) and its recurrence (RFC 5545). An upgrade moves
    training pods, which go on where they stopped. GKE asks for 48 hours in any 32 days.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = can(timecmp(var.maintenance.start_time, var.maintenance.end_time)) && try(timecmp(var.maintenance.start_time, var.maintenance.end_time) < 0, false)
    error_message = "maintenance.start_time lies before end_time, both such as 2026-01-03T06:00:00Z."
  }

  validation {
    condition     = try(timecmp(timeadd(var.maintenance.start_time, "4h"), var.maintenance.end_time) <= 0, true)
    error_message = "A window of maintenance has at least four hours."
  }
}

variable "auto_provisioning" {
  type = object({
    max_cpu        = number
    max_memory_gib = number
  })
  description = <<-EOT
    Limits of the whole cluster (vCPU, GiB) up to which GKE makes node pools itself, by what pods ask for;
    null for the module node-pools to make them. They count the platform's pool and all projects together.
  EOT
  default     = null

  validation {
    condition     = try(var.auto_provisioning.max_cpu >= 4 && var.auto_provisioning.max_memory_gib >= 16, var.auto_provisioning == null)
    error_message = "auto_provisioning has max_cpu of at least 4 and max_memory_gib of at least 16: the platform's own node counts too."
  }
}

variable "security_group" {
  type        = string
  description = <<-EOT
    Google group gke-security-groups@DOMAIN, of which the analysts' groups are members, so that a RoleBinding
    may name these; null if no RoleBinding names a group.
  EOT
  default     = null

  validation {
    condition     = var.security_group == null || can(regex("^gke-security-groups@.+[.].+$", var.security_group))
    error_message = "security_group is gke-security-groups@DOMAIN: GKE takes no other name."
  }
}

variable "secrets_key" {
  type        = string
  description = "Cloud KMS key (projects/.../cryptoKeys/...) that encrypts Secrets in etcd once more, in `region`; null for Google's own encryption alone."
  default     = null

  validation {
    condition     = var.secrets_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.secrets_key))
    error_message = "secrets_key is projects/P/locations/L/keyRings/R/cryptoKeys/K."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether Terraform refuses to delete the cluster, or to make it anew because of a change. Turn it off in an apply of its own."
  default     = true
  nullable    = false
}
