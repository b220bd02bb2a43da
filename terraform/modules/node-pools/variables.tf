variable "gcp_project" {
  type        = string
  description = "The ID of the Google Cloud project that holds the cluster. Use the same project in every module."
  nullable    = false
}

variable "region" {
  type        = string
  description = "The region of the cluster."
  nullable    = false
}

variable "cluster" {
  type        = string
  description = "The name of the cluster: `name` of the cluster module."
  nullable    = false
}

variable "node_service_account" {
  type        = string
  description = "The email of the service account that nodes run as: `node` of the identities module. Do not use Compute Engine's default account, which can edit the whole project."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9-]+@[a-z0-9.-]+[.]iam[.]gserviceaccount[.]com$", var.node_service_account))
    error_message = "node_service_account must be an account created for nodes (...@PROJECT.iam.gserviceaccount.com), not Compute Engine's default account."
  }
}

variable "closed_tag" {
  type        = string
  description = "The network tag of nodes that can reach only Google APIs outside the network: `closed_tag` of the network module."
  nullable    = false
}

variable "classes" {
  type = map(object({
    machine_type = string
    cpu          = string
    memory       = string
    spot         = optional(bool, true)
    on_demand    = optional(bool, true)
    max_nodes    = optional(number, 20)
    disk_gb      = optional(number, 100)
    internet     = optional(bool, false)

    ephemeral_storage = optional(string, "10Gi")

    gpu = optional(object({
      type   = string
      count  = optional(number, 1)
      driver = optional(string, "DEFAULT")
    }))
  }))
  description = <<-EOT
    The resource classes by name. The installation file's classes are generated from the same map.
    - `machine_type`: the machine type of the nodes.
    - `cpu`, `memory`: the resources of one pod as Kubernetes quantities ("2", "1500m"; "8Gi", "512Mi"). They must be
      less than the machine's, since GKE and system pods use a part of each node (see README.md). A training pod
      runs one process per whole CPU. Classes must differ in memory, since a pod that runs out of memory is
      retried in the next larger class.
    - `spot`, `on_demand`: whether the class has a pool of such nodes. The check, split and collect steps run on
      demand, so enable `on_demand` for the classes in the installation's `steps`.
    - `max_nodes`: the maximum size of each pool, over all zones. All pools scale to zero.
    - `disk_gb`: the disk size of a node. Its pods share the disk for temporary files.
    - `ephemeral_storage`: the part of the node's disk that one pod may use ("10Gi"). A split needs as much as its
      source and its rows; it must not decrease from a class to the next larger one.
    - `internet`: whether the nodes can reach the Internet, if the network has a path to it. An external webhook
      needs it for the class of `steps.collect`. If false, a trainer cannot exfiltrate data.
    - `gpu`: the GPUs of a node and of one pod: `type` (such as "nvidia-l4"), `count`, and the `driver` that GKE installs
      (DEFAULT or LATEST). Only trainers that name the class run in it. The machine type must support the GPU.
  EOT
  nullable    = false

  validation {
    condition     = length(var.classes) > 0
    error_message = "classes must contain at least one class, since every pod runs in one."
  }

  validation {
    condition     = alltrue([for name in keys(var.classes) : can(regex("^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$", name)) && !endswith(name, "-spot") && name != "platform"])
    error_message = "A class name must consist of at most 30 lower-case letters, digits and hyphens (pool names have at most 40 characters), must not end in -spot, and must not be platform."
  }

  validation {
    condition     = alltrue([for class in var.classes : can(regex("^([0-9]+m|[0-9]+([.][0-9]+)?)$", class.cpu))])
    error_message = "The cpu of a class must be a quantity such as \"2\" or \"1500m\"."
  }

  validation {
    condition     = alltrue([for class in var.classes : can(regex("^[1-9][0-9]*(Gi|Mi)$", class.memory))])
    error_message = "The memory of a class must be a quantity such as \"8Gi\" or \"512Mi\"."
  }

  validation {
    condition = length(var.classes) == length(distinct([
      for class in var.classes : join(" ", [
        try(class.gpu.type, ""),
        try(tonumber(regex("^[0-9]+", class.memory)) * (endswith(class.memory, "Gi") ? 1024 : 1), class.memory),
      ])
    ]))
    error_message = "Two classes have the same memory. A pod that runs out of memory is retried in the next larger class, so each class needs a different amount."
  }

  validation {
    condition     = alltrue([for class in var.classes : class.spot || class.on_demand])
    error_message = "A class must have spot, on_demand or both: otherwise it has no nodes."
  }

  validation {
    condition     = alltrue([for class in var.classes : class.max_nodes >= 1 && floor(class.max_nodes) == class.max_nodes && class.max_nodes <= 1000])
    error_message = "The max_nodes of a class must be a whole number from 1 to 1,000: with 0, its pods would stay pending forever."
  }

  validation {
    condition     = alltrue([for class in var.classes : can(regex("^[1-9][0-9]*(Gi|Mi)$", class.ephemeral_storage))])
    error_message = "The ephemeral_storage of a class must be a quantity such as \"10Gi\" or \"512Mi\"."
  }

  validation {
    condition     = alltrue([for class in var.classes : class.gpu == null || try(class.gpu.count >= 1 && floor(class.gpu.count) == class.gpu.count && contains(["DEFAULT", "LATEST"], class.gpu.driver), false)])
    error_message = "The gpu of a class must have a whole count of at least 1, and the driver DEFAULT or LATEST."
  }

  validation {
    condition     = alltrue([for class in var.classes : class.disk_gb >= 30])
    error_message = "The disk_gb of a class must be at least 30: the operating system and images use a part of the disk."
  }
}

variable "auto_provisioning" {
  type        = bool
  description = "Whether GKE creates the pools of the classes (`auto_provisioning` of the cluster module is not null). If true, this module creates only the platform pool."
  default     = false
  nullable    = false
}

variable "platform" {
  type = object({
    machine_type = optional(string, "e2-standard-4")
    min_nodes    = optional(number, 1)
    max_nodes    = optional(number, 3)
    disk_gb      = optional(number, 50)
  })
  description = <<-EOT
    The permanent pool for Argo Workflows, Argo CD and GKE's system pods: all pods that do not tolerate the taint of
    a class. `min_nodes` and `max_nodes` count all zones together. With one node, Argo is unavailable for minutes
    while the node is upgraded or replaced; runs resume afterwards.
  EOT
  default     = {}
  nullable    = false

  validation {
    condition     = var.platform.min_nodes >= 1 && var.platform.max_nodes >= var.platform.min_nodes
    error_message = "platform.min_nodes must be at least 1, since Argo runs there, and max_nodes must not be less than min_nodes."
  }

  validation {
    condition     = var.platform.disk_gb >= 30
    error_message = "platform.disk_gb must be at least 30: the operating system and images use a part of the disk."
  }
}
